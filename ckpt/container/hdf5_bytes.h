// A growing run of little-endian bytes with HDF5 checksums.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/container/hdf5_metadata.h"

#include <cstring>
#include <string_view>
#include <vector>

namespace reprise::container {

class ByteWriter {
 public:
  std::uint64_t position() const { return bytes_.size(); }

  template <typename T>
  requires std::is_arithmetic_v<T> ByteWriter& number(T value) {
    const auto at = bytes_.size();
    bytes_.resize(at + sizeof value);
    store_little(bytes_.data() + at, value);
    return *this;
  }
  ByteWriter& u8(unsigned value) { return number(static_cast<std::uint8_t>(value)); }
  ByteWriter& u16(std::size_t value) { return number(static_cast<std::uint16_t>(value)); }
  ByteWriter& u32(std::size_t value) { return number(static_cast<std::uint32_t>(value)); }
  ByteWriter& u64(std::uint64_t value) { return number(value); }
  ByteWriter& text(std::string_view text) { return bytes(as_bytes(text)); }
  ByteWriter& bytes(Bytes more) {
    bytes_.insert(bytes_.end(), more.begin(), more.end());
    return *this;
  }
  ByteWriter& zeros(std::size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }
  ByteWriter& align(std::uint64_t alignment) {
    return zeros(align_up(position(), alignment) - position());
  }
  // The checksum of everything since `start`.
  ByteWriter& checksum(std::uint64_t start) {
    return number(lookup3(Bytes(bytes_).subspan(start)));
  }

  // Overwrites a number written before.
  template <typename T>
  void patch(std::uint64_t at, T value) {
    store_little(bytes_.data() + at, value);
  }
  Bytes view() const { return bytes_; }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace reprise::container
