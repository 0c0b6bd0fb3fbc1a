// Files by descriptor: positioned reads, mappings, and durable publishing.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/base/sha256.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reprise {

// An open file descriptor, closed on destruction. Movable. Positioned reads and
// writes may be called from several threads at once.
// Errors: kNotFound when the file does not exist, else kIo; both name the path.
class File {
 public:
  // Opens for reading. Refuses what is not a regular file (kCorrupt), so that a
  // FIFO or a device in place of a checkpoint cannot block or feed us forever.
  static File open(const std::filesystem::path& path);
  // Opens what is there for reading and writing. Errors: those of open(), and kIo for a link.
  static File open_to_write(const std::filesystem::path& path);
  // Creates for reading and writing with mode 0644 less umask; fails if it exists.
  static File create_new(const std::filesystem::path& path);

  // Takes ownership of `descriptor`; `path` is for messages.
  File(int descriptor, std::filesystem::path path);
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  int descriptor() const { return descriptor_; }
  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size() const;

  // Fills `out` from `offset`. Errors: kCorrupt at end of file, kIo.
  void read(std::uint64_t offset, MutableBytes out) const;
  // As much of it as one call brings, which may be nothing; no errors.
  std::size_t try_read(std::uint64_t offset, MutableBytes out) const noexcept;
  void write(std::uint64_t offset, Bytes bytes) const;
  void truncate(std::uint64_t size) const;
  // fsync. Errors: kIo; after one the state of the file on disk is unknown.
  void sync() const;
  // Closes now, so that a failure (delayed write, quota) is reported. Errors: kIo.
  void close();

 private:
  int descriptor_ = -1;
  std::filesystem::path path_;
};

// A file mapped read-only. Immutable and safe to share between threads. If
// another process truncates the file while it is mapped, touching the lost pages
// raises SIGBUS: checkpoints are replaced by rename, never rewritten in place.
// A file of at most kReadWhole bytes is read instead, which costs less than a mapping.
class MappedFile {
 public:
  static constexpr std::uint64_t kReadWhole = 64u << 10;

  // kPastCache: read() takes whole pages into memory that begins on one from the disk itself,
  // where the file system can, and leaves no copy in the page cache.
  enum class Reads : std::uint8_t { kCached, kPastCache };

  // Errors: kNotFound, kIo; kCorrupt when it is not a regular file.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path,
                                                Reads reads = Reads::kCached);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Bytes bytes() const { return bytes_; }
  const File& file() const { return file_; }
  const std::filesystem::path& path() const { return file_.path(); }
  // Copies a range: past the mapping, so that its pages do not become resident here.
  // Errors: those of File::read().
  void read(std::uint64_t offset, MutableBytes out) const;
  // Lets go of the memory behind a range that is not needed soon. Touching it again reads
  // it again, from the page cache as a rule. Harmless while others read there.
  void release(std::uint64_t offset, std::uint64_t length) const;
  // Makes a range that is needed now ready with one call, where otherwise its pages would fault
  // one by one. What the disk does not give, or another process has cut off, is an error here
  // and not a signal when it is touched; kernels before 5.14 do nothing. Errors: kIo, kCorrupt.
  void populate(std::uint64_t offset, std::uint64_t length) const;

 private:
  MappedFile(File file, Reads reads);
  bool is_mapped() const { return whole_.empty() && !bytes_.empty(); }

  File file_;
  std::optional<File> direct_;    // the same file, past the cache
  std::vector<std::byte> whole_;  // of a small file
  Bytes bytes_;
};

// The whole content of a file of at most `limit_bytes`.
// Errors: kNotFound, kIo; kCorrupt when it is larger.
std::string read_text(const std::filesystem::path& path, std::uint64_t limit_bytes = 256u << 20);

// A file that becomes visible all at once. It is written under a temporary name
// beside `target` ("`target`.tmp-<pid>-<host>-<random>"), and publish() makes it durable
// and renames it. Destroyed without publish(), it removes the temporary file, and
// `target` is as it was before.
class DurableFile {
 public:
  // `is_final` false: `target` is itself a name that nobody looks for and that will be renamed
  // on; it is written directly, must be free, and publish() only makes the content durable and
  // has the page cache forget it, so that what is read then comes from the disk.
  // Errors: kNotFound when the directory does not exist; kUsage when `target` is a directory, a
  // device or a pipe, or a link to one; kIo.
  explicit DurableFile(std::filesystem::path target, bool is_final = true);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  const std::filesystem::path& temporary_path() const { return temporary_; }
  const std::filesystem::path& target() const { return target_; }
  // Its path() is the target: errors name what the user asked for.
  File& file() { return file_; }

  // fsync, close, rename over `target`, fsync of the directory. After it returns
  // the new content survives a power cut; if it throws, `target` is the old or
  // the new file, whole. Errors: kIo.
  void publish();
  // As publish(), but never replaces: kIo when `target` exists by then.
  void publish_new();

 private:
  void rename_into_place(bool replace);
  bool is_final_;
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  File file_;
  bool published_ = false;
};

// Renames `from` to `to`, a name that must be free: kIo when it is taken by then, and `from`
// stays. Both are on one file system. Not durable before the directory is synced.
void rename_to_free(const std::filesystem::path& from, const std::filesystem::path& to);

// A second, durable file of the content of `source`, read back and compared with `digest` before it
// gets the name `target`, which must be free. Errors: kIo; kNotFound.
void copy_durably(const std::filesystem::path& source, const std::filesystem::path& target,
                  const Digest& digest);

// "<pid>-<host>-<random>": the part of a temporary file's name that says who writes it.
std::string writer_mark();

// Whether `mark` is the writer_mark() of a process of this machine that is gone. What
// another machine may still be writing is not, nor is anything else.
bool is_abandoned(std::string_view mark);

// Replaces `target` durably by `text`.
void write_text(const std::filesystem::path& target, std::string_view text);

// fsync of a directory, after which renames and removals in it are durable.
void sync_directory(const std::filesystem::path& directory);

// Creates `directory` and its missing parents durably. Errors: kIo.
void make_directories(const std::filesystem::path& directory);

// Removes temporary files that writers which are no longer alive on this machine
// left beside `directory`'s files. Returns how many were removed.
int remove_abandoned(const std::filesystem::path& directory);

}  // namespace reprise
