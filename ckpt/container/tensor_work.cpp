#include "ckpt/container/tensor_work.h"

#include "ckpt/base/parallel.h"
#include "ckpt/container/hdf5_format.h"

#include <algorithm>
#include <iterator>

namespace reprise::container {

namespace {

// Bytes that pass between reading and hashing: they stay in the core's cache.
constexpr std::size_t kPassBytes = 256u << 10;

// Bytes of a mapped source that one thread has resident while it hashes them.
constexpr std::uint64_t kMappedBytes = 2u << 20;

// Copies [from, from + length) of a plain tensor's values into the stream, hashing.
void copy_range(const Extent& extent, std::uint64_t from, std::uint64_t length, Stream& stream,
                Sha256& hash) {
  const Tensor& tensor = *extent.tensor;
  const auto base = static_cast<std::uint64_t>(tensor.offset()) * item_size(tensor.dtype());
  while (length > 0) {
    const MutableBytes room = stream.room();
    const MutableBytes piece =
        room.first(std::min<std::uint64_t>({room.size(), length, kPassBytes}));
    tensor.storage()->read(base + from, piece);
    hash.update(piece);
    stream.advance(piece.size());
    from += piece.size();
    length -= piece.size();
  }
}

// A whole tensor in one go, with its chunk digests when it is large.
void copy_tensor(Extent& extent, Stream& stream) {
  Sha256 hash;
  if (extent.plain() && extent.chunks.empty()) {
    copy_range(extent, 0, extent.tensor->size_bytes(), stream, hash);
  } else {
    Sha256 chunk_hash;
    std::uint64_t done = 0;
    // kChunkBytes is a multiple of the pieces, so none of them spans two chunks.
    extent.tensor->for_each_chunk(kPassBytes, [&](Bytes piece) {
      hash.update(piece);
      if (!extent.chunks.empty()) chunk_hash.update(piece);
      stream.append(piece);
      done += piece.size();
      const bool last = done == extent.tensor->size_bytes();
      if (!extent.chunks.empty() && (last || done % kChunkBytes == 0)) {
        extent.chunks[(done - 1) / kChunkBytes] = chunk_hash.finish();
      }
    });
  }
  extent.sha256 = hash.finish();
}

Digest digest_of(const Extent& extent) {
  const Tensor& tensor = *extent.tensor;
  const Bytes here = tensor.in_place();
  if (here.empty()) return tensor.digest();
  const auto base = static_cast<std::uint64_t>(tensor.offset()) * item_size(tensor.dtype());
  Sha256 hash;
  for (std::uint64_t from = 0; from < here.size(); from += kMappedBytes) {
    const Bytes piece =
        here.subspan(from, std::min<std::uint64_t>(kMappedBytes, here.size() - from));
    tensor.storage()->prepare(base + from, piece.size());
    hash.update(piece);
    // Of a mapped source no more than this piece stays resident in a thread, however slow the disk.
    tensor.storage()->release(base + from, piece.size());
  }
  return hash.finish();
}

}  // namespace

std::vector<std::function<void()>> list_work(Layout& layout, const std::vector<unsigned>& writer_of,
                                             unsigned writer, DirectWriter& file) {
  std::vector<std::function<void()>> work;
  std::vector<std::function<void()>> pieces;
  for (std::size_t g = 0; g < layout.groups.size(); ++g) {
    if (writer_of[g] != writer) continue;
    const std::span<Extent> group = layout.group(g);
    Extent& head = group.front();
    if (group.size() == 1 && head.plain() && !head.chunks.empty()) {
      // The digest of a large tensor is one long chain: it starts first, beside the chunks.
      work.push_back([&head] { head.sha256 = digest_of(head); });
      for (std::size_t c = 0; c < head.chunks.size(); ++c) {
        pieces.push_back([&head, &file, c] {
          const std::uint64_t from = c * kChunkBytes;
          Stream stream(file, head.offset_bytes + from);
          Sha256 hash;
          copy_range(head, from, std::min(kChunkBytes, head.tensor->size_bytes() - from), stream,
                     hash);
          head.chunks[c] = hash.finish();
          stream.finish();
        });
      }
      continue;
    }
    pieces.push_back([group, &file] {
      Stream stream(file, group.front().offset_bytes);
      for (Extent& extent : group) {
        stream.pad_to(extent.offset_bytes);
        copy_tensor(extent, stream);
      }
      stream.finish();
    });
  }
  work.insert(work.end(), std::make_move_iterator(pieces.begin()),
              std::make_move_iterator(pieces.end()));
  return work;
}

}  // namespace reprise::container
