#include "ckpt/container/direct_writer.h"

#include "ckpt/base/error.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>

namespace reprise::container {

namespace {

constexpr std::size_t kPageBytes = 4096;

void allocate(const File& file, std::uint64_t file_bytes) {
  if (file_bytes == 0) return;
  int result = 0;
  do {
    result = fallocate(file.descriptor(), 0, 0, static_cast<off_t>(file_bytes));
  } while (result == -1 && errno == EINTR);
  if (result == 0) return;
  // File systems without the call (NFS before 4.2, some FUSE ones) extend the file instead.
  if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
    fail_errno(errno, file.path().string());
  file.truncate(file_bytes);
}

std::size_t staging_for(std::uint64_t file_bytes) {
  return static_cast<std::size_t>(
      std::clamp<std::uint64_t>(align_up(file_bytes, kPageBytes), kPageBytes, kStagingBytes));
}

}  // namespace

DirectWriter::DirectWriter(DurableFile& file, std::uint64_t file_bytes, bool direct,
                           std::function<void(std::uint64_t)> on_bytes)
    : file_(file.file()),
      target_(file.target()),
      staging_bytes_(staging_for(file_bytes)),
      on_bytes_(std::move(on_bytes)) {
  if (file_bytes < kDirectFrom) return;
  allocate(file_, file_bytes);
  if (direct) write_directly(file.temporary_path());
}

DirectWriter::DirectWriter(const File& file, std::filesystem::path target, std::uint64_t file_bytes,
                           bool direct)
    : file_(file), target_(std::move(target)), staging_bytes_(staging_for(file_bytes)) {
  // The file has no name that this process could rely on, but its descriptor has one.
  if (direct) write_directly("/proc/self/fd/" + std::to_string(file.descriptor()));
}

// A second descriptor: the head and tail of a file may still go through the cache.
void DirectWriter::write_directly(const std::filesystem::path& opened) {
  const int fd = ::open(opened.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
  if (fd == -1) return;  // tmpfs before Linux 6.6 and others refuse: the cache does it
  direct_file_.emplace(fd, target_);
  direct_ = true;
}

DirectWriter::Buffer DirectWriter::take_buffer() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      Buffer buffer = std::move(free_.back());
      free_.pop_back();
      return buffer;
    }
  }
  Buffer buffer(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, staging_bytes_)));
  if (!buffer) throw std::bad_alloc();
  return buffer;
}

void DirectWriter::give_back(Buffer buffer) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(buffer));
}

void DirectWriter::write(std::uint64_t offset, Bytes page_aligned) {
  const std::uint64_t total = page_aligned.size();
  while (direct_.load(std::memory_order_relaxed) && !page_aligned.empty()) {
    const auto written = ::pwrite(direct_file_->descriptor(), page_aligned.data(),
                                  page_aligned.size(), static_cast<off_t>(offset));
    if (written > 0 && static_cast<std::size_t>(written) % kPageBytes == 0) {
      page_aligned = page_aligned.subspan(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    } else if (written >= 0) {
      // A part of a page: the rest can not be written directly, nor would it be an error.
      break;
    } else if (errno == EINVAL) {
      direct_ = false;  // sectors larger than a page, or a file system that only opens
    } else if (errno != EINTR) {
      fail_errno(errno, target_.string());
    }
  }
  // Repeats at most a part of a page; a full disk shows here as what it is.
  if (!page_aligned.empty()) file_.write(offset, page_aligned);
  if (on_bytes_) on_bytes_(total);
}

Stream::Stream(DirectWriter& writer, std::uint64_t offset_bytes)
    : writer_(writer), buffer_(writer.take_buffer()), offset_(offset_bytes) {}

Stream::~Stream() { writer_.give_back(std::move(buffer_)); }

MutableBytes Stream::room() {
  if (used_ == writer_.staging_bytes()) flush();
  return {buffer_.get() + used_, writer_.staging_bytes() - used_};
}

void Stream::advance(std::size_t length) { used_ += length; }

void Stream::append(Bytes bytes) {
  while (!bytes.empty()) {
    const MutableBytes free = room();
    const std::size_t length = std::min(free.size(), bytes.size());
    std::memcpy(free.data(), bytes.data(), length);
    advance(length);
    bytes = bytes.subspan(length);
  }
}

void Stream::pad_to(std::uint64_t offset_bytes) {
  while (offset_ + used_ < offset_bytes) {
    const MutableBytes free = room();
    const auto length = static_cast<std::size_t>(
        std::min<std::uint64_t>(free.size(), offset_bytes - offset_ - used_));
    std::memset(free.data(), 0, length);
    advance(length);
  }
}

void Stream::finish() {
  pad_to(align_up(offset_ + used_, kPageBytes));
  flush();
}

void Stream::flush() {
  if (used_ > 0) writer_.write(offset_, {buffer_.get(), used_});
  offset_ += used_;
  used_ = 0;
}

}  // namespace reprise::container
