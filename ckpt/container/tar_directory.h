// Members of a tar archive (POSIX.1-2001 pax, ustar and the older form).
#pragma once

#include "ckpt/base/bytes.h"

#include <map>
#include <string>

namespace reprise::container {

// Regular files by name, as views into `archive`. Reads headers only.
// Errors: kCorrupt, naming the byte offset, for a wrong checksum, a member beyond the
// end, a repeated name or a missing end; kUnsupported for links, devices and sparse files.
std::map<std::string, Bytes> read_tar(Bytes archive);

// Whether a file begins with a tar header whose checksum is right.
bool starts_like_tar(Bytes file);

}  // namespace reprise::container
