// Numbers and records of the native container, as they lie in files.
// docs/checkpoint-format.md is the specification; DO NOT CHANGE anything here without it.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/base/sha256.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/hdf5_metadata.h"
#include "ckpt/container/hdf5_types.h"
#include "ckpt/container/tensor_names.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::container {

inline constexpr std::string_view kMagic = "REPRISE\n";
inline constexpr std::uint32_t kContainerVersion = 1;
inline constexpr std::uint64_t kKnownFeatures = 0;
inline constexpr std::uint64_t kFirstBlockBytes = 4096;

// Tensors over this size have a digest for each piece of this size, besides their own.
inline constexpr std::uint64_t kChunkBytes = 16u << 20;
// The file's size, the first tensor, and everything written past the page cache.
inline constexpr std::uint64_t kPage = 4096;
// Tensors at least this large start on a page, so that they can be mapped alone.
inline constexpr std::uint64_t kPageAlignedFrom = 32u << 10;
inline constexpr std::uint64_t kSmallAlignment = 64;

struct Section {
  std::uint64_t offset_bytes = 0;
  std::uint64_t size_bytes = 0;
  Digest sha256;
  std::uint64_t end() const { return offset_bytes + size_bytes; }
};

// The first 4096 bytes of a file.
struct FirstBlock {
  std::uint32_t version = kContainerVersion;
  std::uint32_t minimum_reader = kContainerVersion;
  std::uint64_t required_features = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t data_offset = 0;  // of the first tensor; what lies before are the sections
  Section structures;             // superblock and other HDF5 metadata
  Section table;                  // records, shapes, chunk digests, names
  Section manifest;
  std::uint64_t records = 0;
  std::uint64_t extents = 0;  // numbers in the shapes
  std::uint64_t chunks = 0;
  std::uint64_t names_bytes = 0;
};

std::array<std::byte, kFirstBlockBytes> encode_first_block(const FirstBlock& block);

// Checks the mark, the block's digest, the versions and that the sections follow one
// another within `file_bytes`.
// Errors: kCorrupt, kIncomplete, kUnsupported; messages do not name the file.
FirstBlock decode_first_block(Bytes bytes, std::uint64_t file_bytes);

// The tensor table before and after it is bytes.
struct TensorTable {
  struct Row {
    TensorEntry entry;
    std::uint32_t chunk_at = 0;
    std::uint32_t chunks = 0;  // 0: the tensor's own digest is the only one
  };
  std::vector<Row> rows;
  std::vector<Digest> chunks;
};

// Sets records, extents, chunks and names_bytes of `block`, too.
std::vector<std::byte> encode_table(const TensorTable& table, FirstBlock& block);

// Checks every number against the others: names apart and UTF-8, shapes, sizes, extents
// inside [data_offset, file_bytes) and apart from each other unless they are tied.
// Errors: kCorrupt, naming tensor and byte; kUnsupported for an unknown dtype or flag.
TensorTable decode_table(Bytes bytes, const FirstBlock& block);

// Chunk digests that a tensor of this size has.
constexpr std::uint64_t chunk_count(std::uint64_t size_bytes) {
  return size_bytes > kChunkBytes ? (size_bytes + kChunkBytes - 1) / kChunkBytes : 0;
}

// The sections and the scalars of the document's root, as HDF5 sees them.
// The result refers to `table` and `shapes`.
std::vector<Dataset> list_datasets(const FirstBlock& block, const TensorTable& table,
                                   std::vector<Shape>& shapes);
std::vector<Attribute> root_attributes(Value root);

}  // namespace reprise::container
