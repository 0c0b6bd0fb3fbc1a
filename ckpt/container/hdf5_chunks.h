// Chunked HDF5 datasets as one run of bytes.
#pragma once

#include "ckpt/container/hdf5_image.h"
#include "ckpt/state/storage.h"
#include "ckpt/state/tensor.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace reprise {
class MappedFile;
}

namespace reprise::container {

struct Hdf5Filter {
  unsigned id;
  unsigned value;  // first client value: the element size of a shuffle
};

struct Hdf5Chunk {
  std::vector<std::uint64_t> origin;  // of its first element
  Bytes stored;
  std::uint32_t skipped_filters;  // bit i: filter i was not applied
};

struct ChunkedDataset {
  Shape shape;
  std::vector<std::uint64_t> chunk_shape;
  std::size_t item_bytes;
  std::vector<Hdf5Filter> filters;  // in the order in which they were applied
  std::vector<Hdf5Chunk> chunks;
};

// The filters of a pipeline message. Errors: kUnsupported for other filters than deflate,
// shuffle and Fletcher-32.
std::vector<Hdf5Filter> read_filters(Bytes message);

// The chunks listed by a version 1 B-tree. Errors: kCorrupt.
std::vector<Hdf5Chunk> read_chunk_index(const Hdf5Image& image, std::uint64_t tree,
                                        std::size_t rank);

// Puts the dataset together when its bytes are first asked for, and keeps them; `file`
// is kept alive. Errors, from reading: kCorrupt for a damaged stream, a missing chunk, a
// checksum that differs.
std::shared_ptr<const Storage> chunked_storage(std::shared_ptr<const MappedFile> file,
                                               ChunkedDataset dataset);

}  // namespace reprise::container
