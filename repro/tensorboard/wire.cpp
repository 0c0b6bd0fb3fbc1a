#include "repro/tensorboard/wire.h"

namespace reprise::tensorboard {

bool Fields::varint(std::uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool Fields::next() {
  std::uint64_t tag = 0;
  if (!varint(tag)) return false;
  field_ = static_cast<std::uint32_t>(tag >> 3);
  number_ = 0;
  bytes_ = {};
  const std::uint64_t type = tag & 7;
  if (type == 0) return varint(number_);
  std::uint64_t size = type == 1 ? 8 : 4;
  if (type == 2 && !varint(size)) return false;
  if ((type != 1 && type != 2 && type != 5) || size > rest_.size()) return false;
  bytes_ = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return true;
}

}  // namespace reprise::tensorboard
