#include "ckpt/container/hdf5_parts.h"

#include "ckpt/base/error.h"
#include "ckpt/container/hdf5_metadata.h"

#include <fmt/format.h>

namespace reprise::container {

void wrong(std::uint64_t address, std::string_view what) {
  fail(Code::kCorrupt, "HDF5 address {}: {}; the file is damaged or hostile", address, what);
}

void refuse(std::string_view what) {
  fail(Code::kUnsupported, "HDF5: {}; rewrite the file without it, with h5repack or h5py", what);
}

void expect(ByteReader& in, std::string_view signature) {
  const std::uint64_t place = in.offset_bytes();
  if (as_text(in.take(signature.size(), signature)) != signature)
    wrong(place, fmt::format("'{}' was expected", signature));
}

std::uint64_t take_sized(ByteReader& in, unsigned bytes, std::string_view what) {
  std::uint64_t value = 0;
  const Bytes taken = in.take(bytes, what);
  for (unsigned i = 0; i < bytes; ++i) value |= std::to_integer<std::uint64_t>(taken[i]) << (8 * i);
  return value;
}

void compare_checksum(Bytes whole, std::uint64_t address) {
  const Bytes body = whole.first(whole.size() - 4);
  if (load_little<std::uint32_t>(whole.data() + body.size()) != lookup3(body))
    wrong(address, "a checksum differs");
}

}  // namespace reprise::container
