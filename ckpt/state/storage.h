// Where the bytes of tensors are: in a mapped file, in memory, or compressed.
#pragma once

#include "ckpt/base/bytes.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace reprise {

class MappedFile;

// A run of bytes that may not have been read yet. Immutable and safe to share
// between threads. Opening a 100 GB file makes storages and reads none of them.
class Storage {
 public:
  virtual ~Storage() = default;
  virtual std::uint64_t size_bytes() const = 0;
  // Fills `out` from `offset`; the caller keeps within size_bytes().
  // Errors: kIo; kCorrupt when the bytes can not be produced (bad deflate stream).
  virtual void read(std::uint64_t offset, MutableBytes out) const = 0;
  // All bytes as they lie in memory or in a mapping; empty when they must be
  // produced by read() (compressed or byte-swapped data). Valid while this lives.
  virtual Bytes in_place() const { return {}; }
  // Equal for storages over the same memory, whose tensors may be tied. Reads nothing.
  virtual const void* identity() const { return this; }
  // To be called before bytes of in_place() in this range are touched: what the disk does not give,
  // or another process has cut off, is an error here in place of a signal there.
  // Errors: kIo, kCorrupt.
  virtual void prepare(std::uint64_t /*offset*/, std::uint64_t /*length*/) const {}
  // A hint that [offset, offset + length) is not needed soon: pages of a mapped file leave
  // this process's memory until they are touched again. Nothing else has such pages.
  virtual void release(std::uint64_t /*offset*/, std::uint64_t /*length*/) const {}

 protected:
  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
};

// A range of a mapped file; keeps the mapping alive. The caller has checked the range.
std::shared_ptr<const Storage> mapped_storage(std::shared_ptr<const MappedFile> file,
                                              std::uint64_t offset, std::uint64_t size);
// Owns its bytes.
std::shared_ptr<const Storage> owned_storage(std::vector<std::byte> bytes);
// Looks at bytes that belong to `owner` (a module's parameter, say), which is kept
// alive; whoever may still write to them must not do so while they are read.
std::shared_ptr<const Storage> borrowed_storage(Bytes bytes, std::shared_ptr<const void> owner);

}  // namespace reprise
