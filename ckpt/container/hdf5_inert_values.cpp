#include "ckpt/container/hdf5_inert_values.h"

#include "ckpt/base/byte_reader.h"
#include "ckpt/base/error.h"
#include "ckpt/pickle/text.h"
#include "ckpt/state/numpy_number.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <string>

namespace reprise::container {

namespace {

// Of a reference into a global heap: length, address of the collection, number in it.
constexpr std::uint64_t kReferenceBytes = 16;

bool is_readable(const Hdf5Element& type) {
  return type.number || (type.type_class == Hdf5Class::kText && type.size > 0) ||
         (type.variable_text && type.size == kReferenceBytes);
}

template <typename Signed, typename Unsigned>
Value integer(Arena& arena, const std::byte* little, bool is_signed) {
  if (is_signed) return Value::integer(load_little<Signed>(little));
  const std::uint64_t value = load_little<Unsigned>(little);
  if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return Value::integer(static_cast<std::int64_t>(value));
  std::array<std::byte, 9> bytes{};  // a ninth byte says that it is positive
  std::copy_n(little, 8, bytes.begin());
  return arena.big_integer(bytes);
}

}  // namespace

Value Hdf5InertValues::read(const Hdf5Element& type, const std::optional<Shape>& shape,
                            Bytes data) {
  if (!shape) return {};
  const auto count = static_cast<std::uint64_t>(count_elements(*shape));
  const auto bytes = checked_multiply(count, type.size);
  if (!bytes || *bytes > data.size()) {
    fail(Code::kCorrupt, "HDF5: {} values of {} bytes, {} bytes are there", count, type.size,
         data.size());
  }
  if (!is_readable(type)) return unread(type, count);
  data = data.first(*bytes);
  if (data.size() > data_budget_) fail(Code::kCorrupt, "HDF5: attributes that lie in one another");
  data_budget_ -= data.size();
  if (shape->empty()) return one(type, data);
  // Arrays of numbers stay bytes, save for one dimension, which reads better as a list.
  const bool listed = shape->size() == 1 || !type.number || type.number == DType::kBFloat16;
  const Value items = arena_.list();
  if (listed) {
    items.as_sequence().items.reserve(arena_, count);
    for (std::uint64_t i = 0; i < count; ++i)
      items.as_sequence().items.push_back(arena_,
                                          one(type, data.subspan(i * type.size, type.size)));
    if (shape->size() == 1) return items;
  }
  return array(type, *shape, data, listed ? items : Value());
}

Value Hdf5InertValues::one(const Hdf5Element& type, Bytes element) {
  if (type.number) return number(type, element);
  if (type.variable_text) {
    ByteReader in(element);
    const std::uint64_t length = in.number<std::uint32_t>("a length");
    const auto collection = in.number<std::uint64_t>("a global heap");
    const auto object = in.number<std::uint32_t>("an object's number");
    if (length == 0 || collection == 0 || collection == Hdf5Image::kUndefined) return text({});
    const Bytes all = heaps_.object(collection, object);
    if (length > all.size())
      fail(Code::kCorrupt, "HDF5: text of {} bytes, {} are in its heap", length, all.size());
    element = all.first(length);
  }
  std::string_view all = as_text(element);
  if (type.ends_at_zero) all = all.substr(0, all.find('\0'));
  // What pads; text of variable length may be stored with the zero of its end.
  const char padding = type.space_padded ? ' ' : '\0';
  return text(as_bytes(all.substr(0, all.find_last_not_of(padding) + 1)));
}

Value Hdf5InertValues::number(const Hdf5Element& type, Bytes element) {
  std::array<std::byte, 8> little{};
  std::ranges::copy(element, little.begin());
  if (type.big_endian)
    std::reverse(little.begin(), little.begin() + static_cast<std::ptrdiff_t>(type.size));
  const std::byte* at = little.data();
  switch (*type.number) {
    case DType::kBool: return Value::boolean(*at != std::byte{0});
    case DType::kInt8: return integer<std::int8_t, std::uint8_t>(arena_, at, true);
    case DType::kUInt8: return integer<std::int8_t, std::uint8_t>(arena_, at, false);
    case DType::kInt16: return integer<std::int16_t, std::uint16_t>(arena_, at, true);
    case DType::kUInt16: return integer<std::int16_t, std::uint16_t>(arena_, at, false);
    case DType::kInt32: return integer<std::int32_t, std::uint32_t>(arena_, at, true);
    case DType::kUInt32: return integer<std::int32_t, std::uint32_t>(arena_, at, false);
    case DType::kInt64: return integer<std::int64_t, std::uint64_t>(arena_, at, true);
    case DType::kUInt64: return integer<std::int64_t, std::uint64_t>(arena_, at, false);
    case DType::kFloat16: return Value::real(half_to_double(load_little<std::uint16_t>(at)));
    case DType::kBFloat16:
      return Value::real(std::bit_cast<float>(std::uint32_t{load_little<std::uint16_t>(at)} << 16));
    case DType::kFloat32: return Value::real(load_little<float>(at));
    default: return Value::real(load_little<double>(at));
  }
}

Value Hdf5InertValues::text(Bytes bytes) {
  if (bytes.size() > text_budget_)
    fail(Code::kCorrupt, "HDF5: text that occurs again and again; the file is hostile");
  text_budget_ -= bytes.size();
  return pickle::is_utf8(as_text(bytes)) ? arena_.borrowed_string(as_text(bytes))
                                         : arena_.borrowed_bytes(bytes);
}

Value Hdf5InertValues::unread(const Hdf5Element& type, std::uint64_t count) {
  const Value marker = arena_.opaque("hdf5." + std::string(name(type.type_class)));
  const Value what = arena_.string(fmt::format("not read: {} of {} bytes", count, type.size));
  marker.as_opaque().args = arena_.tuple(std::span(&what, 1));
  return marker;
}

// As numpy keeps it: a description, the shape, and bytes in C order or a list of objects.
Value Hdf5InertValues::array(const Hdf5Element& type, const Shape& shape, Bytes data, Value items) {
  const Value extents = arena_.tuple();
  for (const std::int64_t extent : shape)
    extents.as_sequence().items.push_back(arena_, Value::integer(extent));
  if (!items.is_none())
    return arena_.record(RecordClass::kNumpyArray, std::array{arena_.string("|O"), extents, items});
  const bool one_byte = type.size == 1;
  const std::string_view name = reprise::name(*type.number);
  const char kind = name.starts_with("float")  ? 'f'
                    : name.starts_with("uint") ? 'u'
                    : name.starts_with("int")  ? 'i'
                                               : 'b';
  const std::string description = fmt::format("{}{}{}", one_byte ? '|' : '<', kind, type.size);
  std::vector<std::byte> swapped;
  if (type.big_endian && !one_byte) {
    swapped.assign(data.begin(), data.end());
    for (auto at = swapped.begin(); at != swapped.end();
         at += static_cast<std::ptrdiff_t>(type.size))
      std::reverse(at, at + static_cast<std::ptrdiff_t>(type.size));
  }
  return arena_.record(
      RecordClass::kNumpyArray,
      std::array{arena_.string(description), extents,
                 swapped.empty() ? arena_.borrowed_bytes(data) : arena_.bytes(swapped)});
}

}  // namespace reprise::container
