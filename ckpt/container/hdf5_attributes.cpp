#include "ckpt/container/hdf5_attributes.h"

#include "ckpt/base/error.h"
#include "ckpt/pickle/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace reprise::container {

namespace {

enum MessageType : unsigned { kAttribute = 0x0c, kAttributeInfo = 0x15 };

// An attribute message (specification IV.A.2.m), its parts still bytes.
struct Attribute {
  std::string_view name;
  bool shared_parts = false;  // its datatype or dataspace lies elsewhere
  Bytes type, space, data;
};

Attribute read_message(Bytes message) {
  ByteReader in(message);
  const auto version = in.number<std::uint8_t>("an attribute");
  if (version < 1 || version > 3)
    fail(Code::kCorrupt, "HDF5: an attribute of unknown version {}", version);
  const auto flags = in.number<std::uint8_t>("an attribute");
  const std::uint64_t name_bytes = in.number<std::uint16_t>("an attribute");
  const std::uint64_t type_bytes = in.number<std::uint16_t>("an attribute");
  const std::uint64_t space_bytes = in.number<std::uint16_t>("an attribute");
  if (version == 3) in.take(1, "an attribute's character set");
  // Version 1 pads each part, and counts without the padding.
  const auto part = [&](std::uint64_t bytes, std::string_view what) {
    return in.take(version == 1 ? align_up(bytes, 8) : bytes, what).first(bytes);
  };
  Attribute attribute;
  attribute.name = as_text(part(name_bytes, "an attribute's name"));
  attribute.name = attribute.name.substr(0, attribute.name.find('\0'));
  attribute.shared_parts = version > 1 && (flags & 3) != 0;
  attribute.type = part(type_bytes, "an attribute's type");
  attribute.space = part(space_bytes, "an attribute's shape");
  attribute.data = in.take(in.remaining(), "an attribute's values");
  return attribute;
}

Value value_of(const Attribute& attribute, Hdf5InertValues& values, Arena& arena) {
  if (attribute.shared_parts) return arena.opaque("hdf5.named_type");
  try {
    return values.read(read_element(attribute.type), read_space(attribute.space), attribute.data);
  } catch (const Error& error) {
    throw error.at(fmt::format("attribute {}", printable(attribute.name, 80)));
  }
}

}  // namespace

Value read_attributes(const Hdf5Image& image, const std::vector<Hdf5Image::Message>& messages,
                      Hdf5InertValues& values, Arena& arena) {
  std::vector<Attribute> found;
  for (const Hdf5Image::Message& message : messages) {
    if (message.type == kAttribute) found.push_back(read_message(message.body));
    if (message.type != kAttributeInfo) continue;
    ByteReader in(message.body);
    in.take(1, "an attribute info");
    if ((in.number<std::uint8_t>("an attribute info") & 1) != 0) in.take(2, "an attribute info");
    const auto heap = in.number<std::uint64_t>("an attribute heap");
    const auto index = in.number<std::uint64_t>("an attribute index");
    if (heap == Hdf5Image::kUndefined) continue;
    const std::size_t before = found.size();
    for (const Bytes object : read_heap_objects(image, heap, index, IndexKind::kAttributeNames))
      found.push_back(read_message(object));
    std::ranges::sort(found.begin() + static_cast<std::ptrdiff_t>(before), found.end(), {},
                      &Attribute::name);
  }
  if (found.empty()) return {};
  const Value dict = arena.dict();
  dict.as_dict().entries.reserve(arena, found.size());
  for (const Attribute& attribute : found) {
    const Value name = pickle::is_utf8(attribute.name)
                           ? arena.borrowed_string(attribute.name)
                           : arena.borrowed_bytes(as_bytes(attribute.name));
    dict.as_dict().append(arena, name, value_of(attribute, values, arena));
  }
  return dict;
}

}  // namespace reprise::container
