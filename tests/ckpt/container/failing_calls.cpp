// Preloaded into a program under test: makes the Nth file-system call that it issues fail,
// stop short or kill the process.
//
// FAILING_CALL=N, FAILING_WAY=EIO|ENOSPC|EINTR|short|kill. Prints the number of calls on
// exit when FAILING_COUNT is set.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

std::atomic<int> calls{0};

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::string_view way() {
  const char* text = std::getenv("FAILING_WAY");
  return text == nullptr ? "EIO" : text;
}

bool now() {
  const char* wanted = std::getenv("FAILING_CALL");
  const int number = ++calls;
  if (wanted == nullptr || std::atoi(wanted) != number) return false;
  if (way() == "kill") kill(getpid(), SIGKILL);
  return true;
}

// Sets errno and says that the call fails.
bool fails() {
  if (!now() || way() == "short") return false;
  errno = way() == "ENOSPC" ? ENOSPC : way() == "EINTR" ? EINTR : EIO;
  return true;
}

struct Report {
  ~Report() {
    if (std::getenv("FAILING_COUNT") != nullptr) std::printf("%d\n", calls.load());
  }
} report;

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return fails() ? -1 : real<int(const char*, int, ...)>("open")(path, flags, mode);
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  const auto write = real<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  if (way() == "short") return write(fd, data, now() && size > 700 ? 700 : size, offset);
  return fails() ? -1 : write(fd, data, size, offset);
}

int fsync(int fd) { return fails() ? -1 : real<int(int)>("fsync")(fd); }
int ftruncate(int fd, off_t size) noexcept {
  return fails() ? -1 : real<int(int, off_t)>("ftruncate")(fd, size);
}
int fallocate(int fd, int mode, off_t offset, off_t size) {
  return fails() ? -1 : real<int(int, int, off_t, off_t)>("fallocate")(fd, mode, offset, size);
}
int renameat2(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) noexcept {
  return fails() ? -1
                 : real<int(int, const char*, int, const char*, unsigned)>("renameat2")(
                       from_dir, from, to_dir, to, flags);
}
int close(int fd) {
  // Linux frees the descriptor even when it reports an error.
  const bool failing = fails();
  const int problem = errno;
  const int result = real<int(int)>("close")(fd);
  if (!failing) return result;
  errno = problem;
  return -1;
}

}  // extern "C"
