// numpy's pickles: dtypes, scalars and arrays, as numpy 1 and 2 write them.
#include "ckpt/base/error.h"
#include "ckpt/pickle/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace reprise::pickle {

namespace {

using Args = std::span<const Value>;

constexpr std::size_t kMostDimensions = 64;  // numpy's own limit
constexpr std::int64_t kMostLeaves = 4096;   // plain fields of a record, inner records unfolded

// Fields of a kNumpyDType record beyond its description, which is public: what the
// bytes of an element look like, for byte order and length checks.
enum DTypeField : std::size_t {
  kDescription,
  kItemSize,
  kSwapWidth,
  kMembers,
  kLeaves,
  kDTypeFields
};

RecordNode* dtype_of(Value value) { return value.if_record(RecordClass::kNumpyDType); }

std::int64_t item_size_of(const RecordNode& dtype) { return dtype.fields[kItemSize].as_int(); }

bool is_object(const RecordNode& dtype) {
  const Value description = dtype.fields[kDescription];
  return description.is_string() && description.as_string() == "|O";
}

bool is_big_endian(const RecordNode& dtype) {
  const Value description = dtype.fields[kDescription];
  return description.is_string() && description.as_string().starts_with('>');
}

struct Element {
  char kind = 'V';
  std::int64_t size = 0;        // bytes
  std::int64_t swap_width = 1;  // bytes that a byte order turns around
};

// "f8", "U6", "b1", "M8". Nothing for codes that numpy does not write.
std::optional<Element> parse_code(std::string_view code) {
  Element element;
  if (code.empty()) return std::nullopt;
  element.kind = code[0];
  std::string_view digits = code.substr(1);
  if (element.kind == 'M' || element.kind == 'm') digits = digits.substr(0, digits.find('['));
  const char* end = digits.data() + digits.size();
  if (!digits.empty()) {
    const auto [stop, error] = std::from_chars(digits.data(), end, element.size);
    if (error != std::errc() || stop != end || element.size < 0 || element.size > (1 << 30))
      return std::nullopt;
  }
  constexpr std::string_view kKnownKinds = "biufcmMOSUV";
  if (kKnownKinds.find(element.kind) == std::string_view::npos) return std::nullopt;
  const bool numeric = std::string_view("biufcmM").find(element.kind) != std::string_view::npos;
  if (numeric && (element.size < 1 || element.size > 32)) return std::nullopt;
  if (element.kind == 'O') element.size = 8;
  if (element.kind == 'U') {
    element.size *= 4;
    element.swap_width = 4;
  } else if (element.kind == 'c') {
    element.swap_width = element.size / 2;
  } else if (numeric) {
    element.swap_width = element.size;
  }
  return element;
}

std::string describe(char order, std::string_view code, const Element& element) {
  if (element.kind == 'O') return "|O";
  const bool ordered = element.swap_width > 1;
  return std::string(1, ordered ? order : '|') + std::string(code);
}

Value make_dtype(Arena& arena, Value description, std::int64_t size, std::int64_t swap_width,
                 Value members) {
  const std::array<Value, kDTypeFields> fields = {
      description, Value::integer(size), Value::integer(swap_width), members, Value::integer(1)};
  return arena.record(RecordClass::kNumpyDType, fields);
}

// numpy.dtype("f8", False, True); its state follows with BUILD.
std::optional<Value> dtype_call(Arena& arena, Args args) {
  if (args.empty() || !args[0].is_string()) return std::nullopt;
  std::string_view code = args[0].as_string();
  char order = '<';
  if (!code.empty() && std::string_view("<>|=").find(code[0]) != std::string_view::npos) {
    if (code[0] == '>') order = '>';
    code.remove_prefix(1);
  }
  const auto element = parse_code(code);
  if (!element) return std::nullopt;
  return make_dtype(arena, arena.string(describe(order, code, *element)), element->size,
                    element->swap_width, {});
}

[[noreturn]] void refuse_dtype() {
  fail(Code::kCorrupt, "the state of a numpy.dtype is not one that numpy writes");
}

// Of records: names in order, and a dict from name to (dtype, offset).
Value members_of(Arena& arena, Value names, Value fields) {
  if (names.kind() != Kind::kTuple || !fields.is_dict()) refuse_dtype();
  const Value members = arena.list();
  for (const Value name : names.as_sequence().items) {
    const Value* place = name.is_string() ? fields.as_dict().find(name) : nullptr;
    if (place == nullptr || place->kind() != Kind::kTuple || place->as_sequence().items.size() < 2)
      refuse_dtype();
    const auto& items = place->as_sequence().items;
    if (dtype_of(items[0]) == nullptr || !items[1].if_int()) refuse_dtype();
    // A copy: a later BUILD of the inner dtype must not reach into this one, or a file
    // could make a record that contains itself.
    const Value inner = arena.record(RecordClass::kNumpyDType, dtype_of(items[0])->fields.span());
    const std::array<Value, 3> member = {name, inner, items[1]};
    members.as_sequence().items.push_back(arena, arena.tuple(member));
  }
  return members;
}

// The list of [field, description] that describes a record to others.
Value describe_members(Arena& arena, Value members) {
  const Value description = arena.list();
  for (const Value member : members.as_sequence().items) {
    const auto& items = member.as_sequence().items;
    const std::array<Value, 2> pair = {items[0], items[1].as_record().fields[kDescription]};
    description.as_sequence().items.push_back(arena, arena.list(pair));
  }
  return description;
}

// "[s]", "[25us]" of (unit, count, divisor, event) in a datetime's metadata.
std::string unit_suffix(Value metadata) {
  if (metadata.kind() != Kind::kTuple || metadata.as_sequence().items.size() != 2) return "";
  const Value place = metadata.as_sequence().items[1];
  if (place.kind() != Kind::kTuple || place.as_sequence().items.size() < 2) return "";
  const auto& items = place.as_sequence().items;
  const auto unit = bytes_of(items[0]);
  const auto count = items[1].if_int();
  if (!unit || !count || as_text(*unit) == "generic") return "";
  return *count == 1 ? fmt::format("[{}]", as_text(*unit))
                     : fmt::format("[{}{}]", *count, as_text(*unit));
}

std::optional<Shape> shape_of(Value value) {
  Shape shape;
  if (const auto single = value.if_int()) return Shape{*single};
  if (value.kind() != Kind::kTuple && value.kind() != Kind::kList) return std::nullopt;
  const auto& items = value.as_sequence().items;
  if (items.size() > kMostDimensions) return std::nullopt;
  for (const Value item : items) {
    const auto extent = item.if_int();
    if (!extent) return std::nullopt;
    shape.push_back(*extent);
  }
  return shape;
}

// Turns around each run of `width` bytes.
void swap_runs(MutableBytes bytes, std::size_t width) {
  for (std::size_t i = 0; i + width <= bytes.size(); i += width)
    std::ranges::reverse(bytes.subspan(i, width));
}

// Here and below, recursion over members is bounded by kMostLeaves.
bool holds_big_endian(const RecordNode& dtype) {
  if (!dtype.fields[kMembers].is_sequence()) return is_big_endian(dtype);
  for (const Value member : dtype.fields[kMembers].as_sequence().items) {
    if (holds_big_endian(member.as_sequence().items[1].as_record())) return true;
  }
  return false;
}

void swap_element(MutableBytes element, const RecordNode& dtype) {
  if (!dtype.fields[kMembers].is_sequence()) {
    if (is_big_endian(dtype)) {
      swap_runs(element, static_cast<std::size_t>(dtype.fields[kSwapWidth].as_int()));
    }
    return;
  }
  for (const Value member : dtype.fields[kMembers].as_sequence().items) {
    const auto& items = member.as_sequence().items;
    const RecordNode& inner = items[1].as_record();
    const auto offset = static_cast<std::uint64_t>(items[2].as_int());
    const auto size = static_cast<std::uint64_t>(item_size_of(inner));
    if (items[2].as_int() < 0 || !fits(offset, size, element.size())) refuse_dtype();
    swap_element(element.subspan(offset, size), inner);
  }
}

// "<i4" for ">i4", in every field of a record.
Value little_endian_description(Arena& arena, Value description) {
  if (description.is_string()) {
    const std::string_view text = description.as_string();
    return text.starts_with('>') ? arena.string("<" + std::string(text.substr(1))) : description;
  }
  if (!description.is_sequence()) return description;
  const Value copy = arena.list();
  for (const Value pair : description.as_sequence().items) {
    const auto& items = pair.as_sequence().items;
    const std::array<Value, 2> renamed = {items[0], little_endian_description(arena, items[1])};
    copy.as_sequence().items.push_back(arena, arena.list(renamed));
  }
  return copy;
}

// Room for `size` bytes in the arena, counted against its limit.
MutableBytes room(Arena& arena, std::size_t size) {
  return {static_cast<std::byte*>(arena.allocate(std::max<std::size_t>(size, 1), 1)), size};
}

// The elements of a column-major array in row-major order.
Bytes row_major(Arena& arena, Bytes data, const Shape& shape, std::size_t width) {
  const MutableBytes out = room(arena, data.size());
  Shape strides(shape.size());  // in elements, of the column-major source
  std::int64_t stride = 1;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    strides[d] = stride;
    stride *= shape[d];
  }
  Shape index(shape.size());
  std::int64_t position = 0;
  for (std::size_t written = 0; written < out.size(); written += width) {
    std::memcpy(out.data() + written, data.data() + static_cast<std::size_t>(position) * width,
                width);
    for (std::size_t d = shape.size(); d-- > 0;) {
      position += strides[d];
      if (++index[d] < shape[d]) break;
      position -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
  return out;
}

// Sets the public fields of an array: description, shape, bytes (or a list of objects).
void fill_array(Arena& arena, RecordNode& array, RecordNode& dtype, Value shape_value,
                const Shape& shape, bool column_major, Value data) {
  const std::int64_t elements = count_elements(shape);
  array.fields[1] = shape_value;
  if (is_object(dtype)) {
    const bool list = data.kind() == Kind::kList;
    if (!list || data.as_sequence().items.size() != static_cast<std::uint64_t>(elements)) {
      fail(Code::kCorrupt, "a numpy array of {} objects comes with another number of them",
           elements);
    }
    if (column_major && shape.size() > 1)
      fail(Code::kUnsupported, "a column-major numpy array of objects");
    array.fields[0] = dtype.fields[kDescription];
    array.fields[2] = data;
    return;
  }
  const auto bytes = bytes_of(data);
  const auto size = checked_multiply(elements, item_size_of(dtype));
  if (!bytes || !size || bytes->size() != static_cast<std::uint64_t>(*size)) {
    fail(Code::kCorrupt, "a numpy array of {} elements of {} bytes comes with {} bytes of data",
         elements, item_size_of(dtype), bytes ? bytes->size() : 0);
  }
  const auto width = static_cast<std::size_t>(item_size_of(dtype));
  Bytes values = *bytes;
  if (column_major && shape.size() > 1 && !values.empty())
    values = row_major(arena, values, shape, width);
  if (holds_big_endian(dtype) && !values.empty()) {
    const MutableBytes swapped = room(arena, values.size());
    std::ranges::copy(values, swapped.begin());
    for (std::size_t i = 0; i < swapped.size(); i += width)
      swap_element(swapped.subspan(i, width), dtype);
    values = swapped;
  }
  array.fields[0] = little_endian_description(arena, dtype.fields[kDescription]);
  array.fields[2] = arena.borrowed_bytes(values);
}

Value new_array(Arena& arena) {
  const std::array<Value, 3> fields = {Value(), Value(), Value()};
  return arena.record(RecordClass::kNumpyArray, fields);
}

std::optional<Value> scalar(Arena& arena, Args args) {
  if (args.size() != 2 || dtype_of(args[0]) == nullptr) return std::nullopt;
  RecordNode& dtype = *dtype_of(args[0]);
  const auto bytes = bytes_of(args[1]);
  if (is_object(dtype) || !bytes) return std::nullopt;
  const Value array = new_array(arena);
  fill_array(arena, array.as_record(), dtype, arena.tuple(), {}, false, args[1]);
  const std::array<Value, 2> fields = {array.as_record().fields[0], array.as_record().fields[2]};
  return arena.record(RecordClass::kNumpyScalar, fields);
}

// buffer, dtype, shape, order: arrays of protocol 5.
std::optional<Value> from_buffer(Arena& arena, Args args) {
  if (args.size() != 4 || dtype_of(args[1]) == nullptr || !args[3].is_string()) return std::nullopt;
  const auto shape = shape_of(args[2]);
  if (!shape || !bytes_of(args[0])) return std::nullopt;
  const Value array = new_array(arena);
  fill_array(arena, array.as_record(), *dtype_of(args[1]), args[2], *shape,
             args[3].as_string() == "F", args[0]);
  return array;
}

}  // namespace

std::optional<Value> build_numpy(Arena& arena, Known known, Args args) {
  switch (known) {
    case Known::kNumpyDType: return dtype_call(arena, args);
    case Known::kNumpyScalar: return scalar(arena, args);
    case Known::kNumpyFromBuffer: return from_buffer(arena, args);
    case Known::kNumpyReconstruct:
      // Subclasses (matrix, recarray) keep their class and state as a record.
      if (args.empty() || args[0].kind() != Kind::kGlobal || args[0].as_global() != "numpy.ndarray")
        return std::nullopt;
      return new_array(arena);
    default: return std::nullopt;
  }
}

void set_numpy_dtype_state(Arena& arena, RecordNode& dtype, Value state) {
  if (state.kind() != Kind::kTuple || state.as_sequence().items.size() < 8) refuse_dtype();
  const auto& items = state.as_sequence().items;
  const auto size = items[5].if_int();
  if (!items[1].is_string() || items[1].as_string().size() != 1 || !size ||
      !dtype.fields[kDescription].is_string()) {
    refuse_dtype();
  }
  const char order = items[1].as_string()[0] == '>' ? '>' : '<';
  if (!items[3].is_none()) {  // a record
    if (*size < 0 || *size > (1 << 30)) refuse_dtype();
    const Value members = members_of(arena, items[3], items[4]);
    std::int64_t leaves = 1;
    for (const Value member : members.as_sequence().items) {
      leaves += member.as_sequence().items[1].as_record().fields[kLeaves].as_int();
      if (leaves > kMostLeaves)
        fail(Code::kUnsupported, "a numpy.dtype of more than {} fields", kMostLeaves);
    }
    dtype.fields[kLeaves] = Value::integer(leaves);
    dtype.fields[kDescription] = describe_members(arena, members);
    dtype.fields[kItemSize] = Value::integer(*size);
    dtype.fields[kMembers] = members;
    return;
  }
  if (!items[2].is_none()) return;  // a field of several values: kept as the raw bytes it is
  std::string code(dtype.fields[kDescription].as_string().substr(1));
  if (code == "O") return;
  if ((code[0] == 'M' || code[0] == 'm') && items.size() > 8)
    code = code.substr(0, code.find('[')) + unit_suffix(items[8]);
  const auto element = parse_code(code);
  if (!element) refuse_dtype();
  dtype.fields[kDescription] = arena.string(describe(order, code, *element));
}

void set_numpy_array_state(Arena& arena, RecordNode& array, Value state) {
  if (state.kind() != Kind::kTuple || state.as_sequence().items.size() < 4) {
    fail(Code::kCorrupt, "the state of a numpy array is not one that numpy writes");
  }
  // (version, shape, dtype, column-major, data); the oldest files leave out the version.
  const auto& all = state.as_sequence().items;
  const auto items = all.span().subspan(all.size() - 4);
  const auto shape = shape_of(items[0]);
  const auto column_major = items[2].if_bool()  ? items[2].if_bool()
                            : items[2].if_int() ? std::optional(*items[2].if_int() != 0)
                                                : std::nullopt;
  if (!shape || !column_major)
    fail(Code::kCorrupt, "the shape of a numpy array is not one that numpy writes");
  RecordNode* dtype = dtype_of(items[1]);
  if (dtype == nullptr) {
    // A dtype class that we do not know: nothing is lost, the state stays as it is.
    array.fields[0] = Value();
    array.fields[2] = state;
    return;
  }
  fill_array(arena, array, *dtype, items[0], *shape, *column_major, items[3]);
}

}  // namespace reprise::pickle
