// The native container: an HDF5 file that any HDF5 tool can read, written and read
// back without libhdf5. docs/checkpoint-format.md specifies every byte.
#pragma once

#include "ckpt/base/file.h"
#include "ckpt/base/sha256.h"
#include "ckpt/container/crew.h"
#include "ckpt/container/publish.h"
#include "ckpt/container/verify.h"
#include "ckpt/state/value.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::container {

struct WriteOptions {
  unsigned jobs = 0;   // threads; 0: chosen for a disk that blocks (more than there are cores)
  bool direct = true;  // bypass the page cache where the file system allows it
  Publish publish = Publish::kReplace;
  std::function<void(std::uint64_t)> on_bytes = {};  // bytes just written; called from any thread
  // Native files only: the processes that write this one together. The tensors of the others'
  // shares are not read here.
  std::optional<CrewWork> crew = {};
};

struct WriteReport {
  std::uint64_t file_bytes = 0;
  std::uint64_t tensor_bytes = 0;  // tied tensors counted once
  std::size_t tensors = 0;         // names, tied ones included
  Digest file_digest;              // SHA-256 of the first block, which covers every other byte
  bool used_direct = false;
};

// Writes `document` beside `target` and publishes it durably: when it returns, the
// file survives a power cut; when it throws or is killed, `target` is as it was.
// The same values give the same bytes. Tensors are read while being written, one
// pass, in pieces: memory is a few MiB a thread, whatever the size.
// Errors: kIo, kNotFound (no such directory); kUnsupported when the document is
// nested too deep or its part that is not tensors is too large; those of Storage::read;
// that of another process of the crew, with its name.
WriteReport write_hdf5(const std::filesystem::path& target, const Document& document,
                       const WriteOptions& options = {});

// Writes `text`, which is as long, over the only `placeholder` in the manifest of a native file:
// for what is known only when the file has been written, say the digest of the one it comes from.
// Not among the root's own values, since HDF5 attributes repeat those. Durable when it returns; a
// crash on the way leaves a corrupt file, so it is for one that has not got its name yet. Readers
// opened before are not to be used. Errors: those of Hdf5Reader::open(); kIo; kInternal when the
// placeholder is not there once.
void amend_hdf5(const std::filesystem::path& path, std::string_view placeholder,
                std::string_view text);

// One named tensor of a file. Tied tensors are entries of their own with equal extents.
struct TensorEntry {
  std::string name;  // slash path
  DType dtype;
  Shape shape;
  std::uint64_t offset_bytes;  // in the file
  std::uint64_t size_bytes;
  Digest sha256;  // of the contiguous little-endian values
};

// What to check of tensor bytes, and when. Everything else is always checked.
enum class Verify {
  kNone,
  kTouched,  // each tensor when its bytes are first asked for; the failure surfaces there
  kAll,      // before document() returns, in parallel
};

// Reads a committed native checkpoint. Immutable; safe to share between threads.
// Holds one file descriptor. Never calls libhdf5.
class Hdf5Reader {
 public:
  // Checks the first block, the digest of the tensor table, and that every extent
  // lies inside the file, apart from the others, with the size its shape asks for.
  // Reads no tensor bytes: cost is O(tensors), about 1 us each.
  // Errors: kNotFound; kIncomplete (never committed); kUnsupported (newer container,
  // unknown required feature); kCorrupt, naming file, tensor and byte.
  static Hdf5Reader open(const std::filesystem::path& path);
  static Hdf5Reader open(std::shared_ptr<const MappedFile> file);

  const std::filesystem::path& path() const;
  std::uint64_t file_bytes() const;
  // SHA-256 of the first block, and with it of the whole file.
  const Digest& file_digest() const;
  // In the order of the document.
  const std::vector<TensorEntry>& tensors() const;
  const TensorEntry* find(std::string_view name) const;

  // The tree, with tensors mapped from the file, not copied; it keeps the mapping
  // alive, not this reader. `jobs` (0: one a core) is for Verify::kAll.
  // Errors: kCorrupt when the manifest's digest differs or it is malformed, and for
  // kAll when a tensor's digest differs.
  Document document(Verify verify = Verify::kNone, unsigned jobs = 0) const;

  // The JSON of everything that is not a tensor, after its digest was checked.
  std::string manifest() const;

  // Reads every byte once through bounded buffers and checks it: digests, padding,
  // and that the HDF5 structures are exactly those that the table implies.
  // Throws only when the operating system refuses to read (kIo).
  VerifyReport verify(unsigned jobs = 0,
                      const std::function<void(std::uint64_t)>& on_bytes = {}) const;

  struct Content;  // hdf5_content.h

 private:
  explicit Hdf5Reader(std::shared_ptr<const Content> content);
  std::shared_ptr<const Content> content_;
};

// Whether a file that begins with `first` bytes is a native checkpoint, or was one
// before a byte or two of its mark were damaged.
bool looks_native(Bytes first);

}  // namespace reprise::container
