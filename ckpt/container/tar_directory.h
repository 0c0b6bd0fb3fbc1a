// Members of a tar archive (POSIX.1-2001 pax, ustar and the older form).
#pragma once

#include "ckpt/base/bytes.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace reprise::container {

struct TarMember {
  std::string name;
  char type = '0';  // '0' is a file
  std::uint64_t offset_bytes = 0;
  Bytes data;
};

// Calls `take` with each member as it lies there, whatever its type, up to the end or the first
// damage. Reads headers only.
// Errors: kCorrupt, naming the byte offset, for a wrong checksum, a member beyond the end, a
// missing end, or something behind it.
void walk_tar(Bytes archive, const std::function<void(const TarMember&)>& take);

// Regular files by name, as views into `archive`. Reads headers only.
// Errors: those of walk_tar(); kCorrupt for a repeated name; kUnsupported for links, devices,
// sparse files, and attributes that override what a header says.
std::map<std::string, Bytes> read_tar(Bytes archive);

// Whether a file begins with a tar header whose checksum is right.
bool starts_like_tar(Bytes file);

}  // namespace reprise::container
