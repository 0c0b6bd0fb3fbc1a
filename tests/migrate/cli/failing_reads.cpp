// Preloaded into a program under test: from the Nth populating of mapped pages on, the disk under
// it cannot be read, neither through the mapping nor otherwise.
//
// FAILING_POPULATE=N. With FAILING_FLIP=N the Nth read of a mebibyte or more brings one wrong bit
// instead, as a disk may that has no errors to report. Prints the number of populatings on exit
// when FAILING_COUNT is set.
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace {

std::atomic<int> calls{0};
std::atomic<int> large_reads{0};

bool broken() {
  const char* wanted = std::getenv("FAILING_POPULATE");
  return wanted != nullptr && calls.load() >= std::atoi(wanted);
}

struct Report {
  ~Report() {
    if (std::getenv("FAILING_COUNT") != nullptr)
      std::fprintf(stderr, "populated %d\n", calls.load());
  }
} report;

}  // namespace

extern "C" {

int madvise(void* address, size_t length, int advice) noexcept {
  if (advice == MADV_POPULATE_READ) {
    ++calls;
    if (broken()) {
      errno = EFAULT;  // what Linux says when a page cannot be read in
      return -1;
    }
  }
  return reinterpret_cast<int (*)(void*, size_t, int)>(dlsym(RTLD_NEXT, "madvise"))(address, length,
                                                                                    advice);
}

ssize_t pread(int file, void* data, size_t size, off_t offset) {
  if (broken()) {
    errno = EIO;
    return -1;
  }
  const ssize_t length = reinterpret_cast<ssize_t (*)(int, void*, size_t, off_t)>(
      dlsym(RTLD_NEXT, "pread"))(file, data, size, offset);
  const char* flip = std::getenv("FAILING_FLIP");
  if (flip != nullptr && length >= (1 << 20) && ++large_reads == std::atoi(flip))
    static_cast<unsigned char*>(data)[length / 2] ^= 16;
  return length;
}

}  // extern "C"
