// Where HDF5 files keep what does not fit an object header: fractal heaps, which hold long
// lists of links and attributes, and global heaps, which hold text of variable length.
#pragma once

#include "ckpt/base/byte_reader.h"
#include "ckpt/base/bytes.h"
#include "ckpt/container/hdf5_image.h"

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

namespace reprise::container {

// What a version 2 B-tree over a fractal heap is sorted by (specification III.A.2).
enum class IndexKind : unsigned { kHugeObjects = 1, kLinkNames = 5, kAttributeNames = 8 };

// The objects that the index at `index` lists in the heap at `heap`, in the index's order, which
// is that of the hashes of names. Cost and memory are bounded as Hdf5Image::at() bounds them.
// Errors: kCorrupt; kUnsupported for filtered heaps and shared objects.
std::vector<Bytes> read_heap_objects(const Hdf5Image& image, std::uint64_t heap,
                                     std::uint64_t index, IndexKind kind);

// Global heaps (specification III.E). A collection is taken apart when it is first asked for, and
// once. Not for use from several threads.
class GlobalHeaps {
 public:
  explicit GlobalHeaps(const Hdf5Image& image) : image_(image) {}

  // Object `number` of the collection at `address`. Errors: kCorrupt when there is none.
  Bytes object(std::uint64_t address, std::uint32_t number);

 private:
  struct Entry {
    std::uint32_t number;
    Bytes bytes;
  };
  std::vector<Entry> read(std::uint64_t address) const;

  const Hdf5Image& image_;
  std::map<std::uint64_t, std::vector<Entry>> collections_;  // by number within each
};

}  // namespace reprise::container
