// The HDF5 structures of a native file: superblock, groups, dataset headers.
//
// They are a pure function of what the file holds, so a reader can make them again
// and compare, and needs no HDF5 library to know that they say what the tensor table
// says. Format: HDF5 File Format Specification 3.0; the subset is in
// docs/checkpoint-format.md, HDF5 structures.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/state/dtype.h"
#include "ckpt/state/tensor.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace reprise::container {

// What the elements of a dataset are: a tensor's, or one of the container's own.
enum class TableType : std::uint8_t { kBytes, kUInt64, kDigest, kTensorRecord };

struct Dataset {
  std::string_view name;  // slash path
  std::variant<DType, TableType> type;
  std::span<const std::int64_t> shape;
  std::uint64_t offset_bytes = 0;  // in the file
  std::uint64_t size_bytes = 0;
  // Datasets with the same number >= 0 are one object with several names.
  std::int64_t tied = -1;
};

// A scalar attribute of the root group.
struct Attribute {
  std::string name;
  std::variant<std::int64_t, double, std::string> value;
};

// Where the superblock lies: behind the first block.
inline constexpr std::uint64_t kSuperblockOffset = 4096;

// The bytes of the file from kSuperblockOffset on, as many as the structures need.
// Their number does not depend on offsets and sizes of datasets, only on names,
// types, shapes, ties and attributes. `file_bytes` is the size of the whole file.
// Cost: about 1 us a dataset.
// Errors: kCorrupt when names contradict each other (a dataset below a dataset, an
// empty component).
std::vector<std::byte> encode_hdf5(std::span<const Dataset> datasets,
                                   std::span<const Attribute> attributes, std::uint64_t file_bytes);

// The checksum of HDF5 metadata: Jenkins' lookup3 (hashlittle) from 0.
std::uint32_t lookup3(Bytes bytes);

}  // namespace reprise::container
