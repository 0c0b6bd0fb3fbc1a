// Snapshots from anywhere: either an Error, or a tree id; never more memory than the limit allows.
#include "repro/snapshot/snapshot.h"

#include "ckpt/base/error.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A file without a name, so that nothing touches the disk.
  const int descriptor = memfd_create("snapshot", MFD_CLOEXEC);
  if (descriptor < 0 || write(descriptor, data, size) != static_cast<ssize_t>(size)) std::abort();
  try {
    if (reprise::snapshot::read_tree("/proc/self/fd/" + std::to_string(descriptor)).size() != 40) {
      std::abort();
    }
  } catch (const reprise::Error&) {
  }
  close(descriptor);
  return 0;
}
