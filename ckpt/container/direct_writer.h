// Writing large files past the page cache, and streams of bytes through it.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/base/file.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace reprise::container {

// Bytes that one write call moves: large enough for any disk, small enough for one
// buffer a thread.
inline constexpr std::size_t kStagingBytes = 4u << 20;

// A new file being written by several threads, with O_DIRECT where the file system
// takes it. Keeps kStagingBytes for each stream that is open at the same time, less for a
// file that is smaller. A file below kDirectFrom goes through the cache, which costs less.
class DirectWriter {
 public:
  static constexpr std::uint64_t kDirectFrom = 256u << 10;

  // Allocates the bytes of a large file first, so that a full disk shows at once. `file` must
  // outlive the writer. `on_bytes` may be empty. Errors: kIo.
  DirectWriter(DurableFile& file, std::uint64_t file_bytes, bool direct,
               std::function<void(std::uint64_t)> on_bytes);
  // The same on a part of a file that another process has made and allocated, with its own
  // descriptor. `target` is for messages. Errors: none; writing tells.
  DirectWriter(const File& file, std::filesystem::path target, std::uint64_t file_bytes,
               bool direct);
  DirectWriter(const DirectWriter&) = delete;
  DirectWriter& operator=(const DirectWriter&) = delete;

  bool direct() const { return direct_.load(); }
  std::size_t staging_bytes() const { return staging_bytes_; }

 private:
  friend class Stream;
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  using Buffer = std::unique_ptr<std::byte[], Free>;

  Buffer take_buffer();
  void give_back(Buffer buffer);
  void write(std::uint64_t offset, Bytes page_aligned);
  void write_directly(const std::filesystem::path& opened);

  const File& file_;
  std::filesystem::path target_;  // for messages
  std::size_t staging_bytes_;
  std::optional<File> direct_file_;
  std::atomic<bool> direct_{false};
  std::function<void(std::uint64_t)> on_bytes_;
  std::mutex mutex_;
  std::vector<Buffer> free_;
};

// Appends bytes to the file from a page boundary on. One thread; several streams of one
// writer may run side by side as long as they stay apart by whole pages.
class Stream {
 public:
  Stream(DirectWriter& writer, std::uint64_t offset_bytes);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Free staging memory, never empty: fill a part of it, then advance() by that much.
  MutableBytes room();
  void advance(std::size_t length);
  void append(Bytes bytes);
  // Zeros up to a place in the file.
  void pad_to(std::uint64_t offset_bytes);
  // Writes what is left, filled up with zeros to a whole page. Errors: kIo.
  void finish();

 private:
  void flush();
  DirectWriter& writer_;
  DirectWriter::Buffer buffer_;
  std::uint64_t offset_;  // in the file, of the buffer's first byte
  std::size_t used_ = 0;
};

}  // namespace reprise::container
