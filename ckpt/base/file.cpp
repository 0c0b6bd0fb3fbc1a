#include "ckpt/base/file.h"

#include "ckpt/base/error.h"
#include "ckpt/base/uuid.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>
#include <vector>

namespace reprise {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kTemporaryMark = ".tmp-";

template <typename Call>
auto retry(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

constexpr std::uint64_t kPage = 4096;

bool is_page(std::uint64_t place) { return place % kPage == 0; }

void require_regular(const File& file) {
  struct stat status {};
  const std::string path = file.path().string();
  if (fstat(file.descriptor(), &status) == -1) fail_errno(errno, path);
  if (S_ISDIR(status.st_mode))
    fail(Code::kCorrupt, "{}: is a directory, a file was expected", path);
  if (!S_ISREG(status.st_mode)) fail(Code::kCorrupt, "{}: is not a regular file", path);
}

// An open file once more, even if its path means another one by now.
std::string own_name(const File& file) {
  return fmt::format("/proc/self/fd/{}", file.descriptor());
}

// Linux moves at most 0x7ffff000 bytes a call; larger requests are cut here so
// that a short transfer always means the end of the file or a full disk.
constexpr std::size_t kLargestTransfer = 1u << 30;

fs::path directory_of(const fs::path& target) {
  return target.has_parent_path() ? target.parent_path() : fs::path(".");
}

// Which machine a temporary file was written on: folders may be shared over a network.
const std::string& host_mark() {
  static const std::string mark = [] {
    char name[256] = {};
    if (gethostname(name, sizeof name - 1) != 0) name[0] = '\0';
    return Uuid::from_url_name(name).text().substr(0, 8);
  }();
  return mark;
}

fs::path temporary_beside(const fs::path& target) {
  return target.string() + fmt::format("{}{}", kTemporaryMark, writer_mark());
}

}  // namespace

File::File(int descriptor, fs::path path) : descriptor_(descriptor), path_(std::move(path)) {}

File::File(File&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

File::~File() {
  if (descriptor_ != -1) ::close(descriptor_);
}

File File::open(const fs::path& path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const int fd = retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (fd == -1) fail_errno_reading(errno, path.string());
  File file(fd, path);
  require_regular(file);
  return file;
}

File File::create_new(const fs::path& path) {
  const int fd =
      retry([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644); });
  if (fd == -1) fail_errno(errno, path.string());
  return {fd, path};
}

File File::open_to_write(const fs::path& path) {
  const int fd =
      retry([&] { return ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); });
  if (fd == -1) fail_errno_reading(errno, path.string());
  File file(fd, path);
  require_regular(file);
  return file;
}

std::uint64_t File::size() const {
  struct stat status {};
  if (fstat(descriptor_, &status) == -1) fail_errno(errno, path_.string());
  return static_cast<std::uint64_t>(status.st_size);
}

void File::read(std::uint64_t offset, MutableBytes out) const {
  while (!out.empty()) {
    const auto n = retry([&] {
      return ::pread(descriptor_, out.data(), std::min(out.size(), kLargestTransfer),
                     static_cast<off_t>(offset));
    });
    if (n == -1) fail_errno(errno, path_.string());
    if (n == 0) {
      fail(Code::kCorrupt, "{}: ends at byte {}, {} more were expected; the file is truncated",
           path_.string(), offset, out.size());
    }
    out = out.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

std::size_t File::try_read(std::uint64_t offset, MutableBytes out) const noexcept {
  const auto n = retry([&] {
    return ::pread(descriptor_, out.data(), std::min(out.size(), kLargestTransfer),
                   static_cast<off_t>(offset));
  });
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

void File::write(std::uint64_t offset, Bytes bytes) const {
  while (!bytes.empty()) {
    const auto n = retry([&] {
      return ::pwrite(descriptor_, bytes.data(), std::min(bytes.size(), kLargestTransfer),
                      static_cast<off_t>(offset));
    });
    if (n == -1) fail_errno(errno, path_.string());
    if (n == 0) fail_errno(ENOSPC, path_.string());
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

void File::truncate(std::uint64_t size) const {
  if (retry([&] { return ftruncate(descriptor_, static_cast<off_t>(size)); }) == -1) {
    fail_errno(errno, path_.string());
  }
}

void File::sync() const {
  if (retry([&] { return fsync(descriptor_); }) == -1) fail_errno(errno, path_.string());
}

void File::close() {
  // Linux frees the descriptor even when close() reports an error: never retry.
  if (::close(std::exchange(descriptor_, -1)) == -1 && errno != EINTR) {
    fail_errno(errno, path_.string());
  }
}

MappedFile::MappedFile(File file, Reads reads) : file_(std::move(file)) {
  const std::uint64_t size = file_.size();
  if (size <= kReadWhole) {
    whole_.resize(size);
    file_.read(0, whole_);
    bytes_ = whole_;
    return;
  }
  void* address = mmap(nullptr, size, PROT_READ, MAP_SHARED, file_.descriptor(), 0);
  if (address == MAP_FAILED) fail_errno(errno, path().string());
  bytes_ = {static_cast<const std::byte*>(address), size};
  if (reads != Reads::kPastCache) return;
  const int fd =
      retry([&] { return ::open(own_name(file_).c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT); });
  if (fd != -1) direct_.emplace(fd, path());
}

std::shared_ptr<const MappedFile> MappedFile::open(const fs::path& path, Reads reads) {
  return std::shared_ptr<const MappedFile>(new MappedFile(File::open(path), reads));
}

void MappedFile::read(std::uint64_t offset, MutableBytes out) const {
  if (direct_ && is_page(offset) && is_page(reinterpret_cast<std::uintptr_t>(out.data()))) {
    // Whatever this does not bring, the last bytes of a tensor say, comes through the cache.
    const std::size_t length = direct_->try_read(offset, out.first(out.size() / kPage * kPage));
    out = out.subspan(length);
    offset += length;
  }
  // Past the end it is the file that says so.
  if (is_mapped() || !fits(offset, out.size(), bytes_.size())) return file_.read(offset, out);
  std::ranges::copy(bytes_.subspan(offset, out.size()), out.begin());
}

void MappedFile::release(std::uint64_t offset, std::uint64_t length) const {
  if (!is_mapped()) return;
  // Whole pages only: a neighbour's bytes on the first or last page may be in use.
  const std::uint64_t first = align_up(offset, kPage);
  const std::uint64_t end = (offset + length) / kPage * kPage;
  if (first < end)
    madvise(const_cast<std::byte*>(bytes_.data()) + first, end - first, MADV_DONTNEED);
}

void MappedFile::populate(std::uint64_t offset, std::uint64_t length) const {
  if (!is_mapped()) return;
  const std::uint64_t first = offset / kPage * kPage;
  void* address = const_cast<std::byte*>(bytes_.data()) + first;
  if (madvise(address, offset + length - first, MADV_POPULATE_READ) == 0 || errno == EINVAL) return;
  // Touching these pages would end the process: a read says what is wrong, if it still is.
  std::vector<std::byte> piece(std::min<std::uint64_t>(length, 1u << 20));
  for (std::uint64_t done = 0; done < length; done += piece.size()) {
    file_.read(offset + done,
               std::span(piece).first(std::min<std::uint64_t>(piece.size(), length - done)));
  }
}

MappedFile::~MappedFile() {
  if (is_mapped()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

std::string read_text(const fs::path& path, std::uint64_t limit_bytes) {
  const File file = File::open(path);
  const std::uint64_t size = file.size();
  if (size > limit_bytes) {
    fail(Code::kCorrupt, "{}: {} bytes, at most {} were expected", path.string(), size,
         limit_bytes);
  }
  std::string text(size, '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

namespace {

// A rename would put a file in the place of a device (/dev/null, for root), and a directory is
// refused only when everything was written.
void require_replaceable(const fs::path& target) {
  struct stat status {};
  // Follows links, as /dev/stdout is one.
  if (::stat(target.c_str(), &status) != 0 || S_ISREG(status.st_mode)) return;
  fail(Code::kUsage, "{}: is a {}, in whose place no file is written; name a file", target.string(),
       S_ISDIR(status.st_mode) ? "directory" : "device or pipe");
}

// Errors speak of what the user named, not of the temporary file.
File create_beside(const fs::path& target, const fs::path& temporary) {
  require_replaceable(target);
  const int fd =
      retry([&] { return ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644); });
  if (fd == -1)
    fail_errno(errno, errno == ENOENT ? directory_of(target).string() : target.string());
  return {fd, target};
}

}  // namespace

DurableFile::DurableFile(fs::path target, bool is_final)
    : is_final_(is_final),
      target_(std::move(target)),
      temporary_(is_final ? temporary_beside(target_) : target_),
      file_(create_beside(target_, temporary_)) {}

DurableFile::~DurableFile() {
  if (!published_) ::unlink(temporary_.c_str());
}

void DurableFile::publish() {
  rename_into_place(true);
  if (is_final_) sync_directory(directory_of(target_));
}

void DurableFile::publish_new() {
  rename_into_place(false);
  if (is_final_) sync_directory(directory_of(target_));
}

void DurableFile::rename_into_place(bool replace) {
  file_.sync();
  // Whoever checks it before renaming it on shall see what the disk has.
  if (!is_final_) posix_fadvise(file_.descriptor(), 0, 0, POSIX_FADV_DONTNEED);
  file_.close();
  if (!is_final_) {
    // It has its name.
  } else if (!replace) {
    rename_to_free(temporary_, target_);
  } else if (renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), 0) == -1) {
    fail_errno(errno, target_.string());
  }
  published_ = true;
}

void rename_to_free(const fs::path& from, const fs::path& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno != EINVAL) fail_errno(errno, to.string());
  // NFS and others do not know the flag. A second link never replaces either.
  if (::link(from.c_str(), to.c_str()) == -1) fail_errno(errno, to.string());
  ::unlink(from.c_str());
}

void copy_durably(const fs::path& source, const fs::path& target, const Digest& digest) {
  const File in = File::open(source);
  DurableFile out(target);
  std::vector<std::byte> buffer(4 << 20);
  const std::uint64_t size = in.size();
  for (std::uint64_t offset = 0; offset < size;) {
    const auto length = std::min<std::uint64_t>(buffer.size(), size - offset);
    in.read(offset, std::span(buffer).first(length));
    out.file().write(offset, Bytes(buffer).first(length));
    offset += length;
  }
  // What is compared comes from the disk.
  out.file().sync();
  posix_fadvise(out.file().descriptor(), 0, 0, POSIX_FADV_DONTNEED);
  if (sha256_file(out.temporary_path()) != digest)
    fail(Code::kIo, "{}: the copy differs from {}", target.native(), source.native());
  out.publish_new();
}

void write_text(const fs::path& target, std::string_view text) {
  DurableFile file(target);
  file.file().write(0, as_bytes(text));
  file.publish();
}

void sync_directory(const fs::path& directory) {
  const int fd =
      retry([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd == -1) fail_errno(errno, directory.string());
  const File file(fd, directory);
  // Some network file systems have no directory fsync and say so with EINVAL.
  if (retry([&] { return fsync(fd); }) == -1 && errno != EINVAL) {
    fail_errno(errno, directory.string());
  }
}

void make_directories(const fs::path& directory) {
  if (directory.empty()) return;
  if (mkdir(directory.c_str(), 0755) == 0) {
    sync_directory(directory_of(directory));
    return;
  }
  if (errno == ENOENT && directory_of(directory) != directory) {
    make_directories(directory_of(directory));
    if (mkdir(directory.c_str(), 0755) == 0 || errno == EEXIST) {
      sync_directory(directory_of(directory));
      return;
    }
  }
  std::error_code ignored;
  if (errno == EEXIST && fs::is_directory(directory, ignored)) return;
  fail_errno(errno, directory.string());
}

std::string writer_mark() {
  // The random part keeps two writers in one process apart.
  return fmt::format("{}-{}-{}", getpid(), host_mark(), Uuid::random().text().substr(0, 8));
}

bool is_abandoned(std::string_view mark) {
  const char* end = mark.data() + mark.size();
  pid_t pid = 0;
  const auto [rest, problem] = std::from_chars(mark.data(), end, pid);
  // Exactly "<pid>-<this host>-<8 characters>": a user's own file that happens to look
  // alike stays.
  const std::string_view tail(rest, static_cast<std::size_t>(end - rest));
  const std::string ours = "-" + host_mark() + "-";
  if (problem != std::errc() || pid <= 0 || tail.size() != ours.size() + 8 ||
      !tail.starts_with(ours))
    return false;
  return pid != getpid() && kill(pid, 0) == -1 && errno != EPERM;
}

int remove_abandoned(const fs::path& directory) {
  int removed = 0;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(directory, failure)) {
    const std::string name = entry.path().filename().string();
    const auto mark = name.rfind(kTemporaryMark);
    if (mark == std::string::npos || !entry.is_regular_file(failure)) continue;
    if (is_abandoned(std::string_view(name).substr(mark + kTemporaryMark.size())) &&
        fs::remove(entry.path(), failure))
      ++removed;
  }
  return removed;
}

}  // namespace reprise
