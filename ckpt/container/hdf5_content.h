// What an open native file consists of, shared by the parts of Hdf5Reader.
#pragma once

#include "ckpt/base/file.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/hdf5_format.h"

#include <functional>
#include <memory>
#include <vector>

namespace reprise::container {

struct Hdf5Reader::Content {
  std::shared_ptr<const MappedFile> file;
  FirstBlock block;
  Digest file_digest;
  std::vector<TensorEntry> tensors;
  std::vector<std::uint32_t> chunk_at;  // per tensor
  std::vector<Digest> chunks;

  // A range of one tensor's values that has a digest.
  struct Piece {
    const TensorEntry* tensor;
    std::uint64_t number;  // of the chunk
    std::uint64_t offset_bytes, size_bytes;
    Digest expected;
  };
  std::uint64_t piece_count(std::size_t tensor) const;
  Piece piece(std::size_t tensor, std::uint64_t number) const;
  // Of all tensors, tied ones once.
  std::vector<Piece> pieces() const;

  // The rows as they were read, for making the structures again.
  TensorTable table() const;
};

// The failure of a piece: file, tensor, chunk, byte, and what to do.
std::string describe_damage(const Hdf5Reader::Content& content,
                            const Hdf5Reader::Content::Piece& piece);

// SHA-256 of a range of the file, read through a small buffer. Errors: kIo, kCorrupt
// when the file has become shorter.
Digest digest_range(const File& file, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                    const std::function<void(std::uint64_t)>& on_bytes = {});

}  // namespace reprise::container
