#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/container/direct_writer.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/hdf5_format.h"
#include "ckpt/container/manifest.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace reprise::container {

namespace {

// Bytes that pass between reading and hashing: they stay in the core's cache.
constexpr std::size_t kPassBytes = 256u << 10;

// Bytes of a mapped source that one thread has resident while it hashes them.
constexpr std::uint64_t kMappedBytes = 2u << 20;

// The place of one tensor's values in the file; tied tensors share one.
struct Extent {
  const Tensor* tensor;
  std::uint64_t offset_bytes;
  Digest sha256;
  std::vector<Digest> chunks;

  std::uint64_t end() const { return offset_bytes + tensor->size_bytes(); }
  // Values lie in the storage as they will in the file: any part can be read on its own.
  bool plain() const {
    return tensor->is_contiguous() && !tensor->conjugated() && !tensor->negated();
  }
};

struct Layout {
  std::vector<Extent> extents;         // ascending
  std::vector<std::size_t> extent_of;  // per named tensor
  std::vector<std::size_t> groups;     // first extents of runs that start on a page
};

// Tensors are tied when they are the same view of the same bytes. Two storages over the
// same memory count as the same: each framework tensor may bring its own.
auto view_key(const Tensor& tensor) {
  const void* place = tensor.storage() ? tensor.storage()->identity() : nullptr;
  return std::tuple(place, tensor.dtype(), tensor.offset(), tensor.shape(), tensor.strides(),
                    tensor.conjugated(), tensor.negated());
}

// Places tensors one behind the other, in the order of the document, from 0 on. Runs of
// small ones start on a page at least every kStagingBytes, so that threads can write them
// independently.
Layout lay_out(const std::vector<NamedTensor>& tensors) {
  Layout layout;
  std::map<decltype(view_key(Tensor())), std::size_t> known;
  std::uint64_t cursor = 0;
  std::uint64_t group_start = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::uint64_t size = tensor.size_bytes();
    if (size > 0) {
      const auto [found, is_new] = known.try_emplace(view_key(tensor), layout.extents.size());
      if (!is_new) {
        layout.extent_of.push_back(found->second);
        continue;
      }
    }
    cursor = align_up(cursor, size >= kPageAlignedFrom ? kPage : kSmallAlignment);
    const bool full = cursor + size - group_start > kStagingBytes;
    if (layout.extents.empty() || full) {
      cursor = align_up(cursor, kPage);
      group_start = cursor;
      layout.groups.push_back(layout.extents.size());
    }
    layout.extent_of.push_back(layout.extents.size());
    layout.extents.push_back({&tensor, cursor, {}, std::vector<Digest>(chunk_count(size))});
    cursor += size;
  }
  return layout;
}

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

// The independent pieces of work: what may run at the same time on several threads.
std::vector<std::function<void()>> list_work(Layout& layout, DirectWriter& writer) {
  std::vector<std::function<void()>> work;
  std::vector<std::function<void()>> pieces;
  for (std::size_t g = 0; g < layout.groups.size(); ++g) {
    const std::size_t first = layout.groups[g];
    const std::size_t last =
        g + 1 < layout.groups.size() ? layout.groups[g + 1] : layout.extents.size();
    Extent& head = layout.extents[first];
    if (last == first + 1 && head.plain() && !head.chunks.empty()) {
      // The digest of a large tensor is one long chain: it starts first, beside the chunks.
      work.push_back([&head] { head.sha256 = digest_of(head); });
      for (std::size_t c = 0; c < head.chunks.size(); ++c) {
        pieces.push_back([&head, &writer, c] {
          const std::uint64_t from = c * kChunkBytes;
          Stream stream(writer, head.offset_bytes + from);
          Sha256 hash;
          copy_range(head, from, std::min(kChunkBytes, head.tensor->size_bytes() - from), stream,
                     hash);
          head.chunks[c] = hash.finish();
          stream.finish();
        });
      }
      continue;
    }
    pieces.push_back([&layout, &writer, first, last] {
      Stream stream(writer, layout.extents[first].offset_bytes);
      for (std::size_t i = first; i < last; ++i) {
        stream.pad_to(layout.extents[i].offset_bytes);
        copy_tensor(layout.extents[i], stream);
      }
      stream.finish();
    });
  }
  work.insert(work.end(), std::make_move_iterator(pieces.begin()),
              std::make_move_iterator(pieces.end()));
  return work;
}

TensorTable make_table(const std::vector<NamedTensor>& tensors, const Layout& layout) {
  TensorTable table;
  table.rows.reserve(tensors.size());
  std::vector<std::uint32_t> chunk_at(layout.extents.size());
  for (std::size_t i = 0; i < layout.extents.size(); ++i) {
    const auto& chunks = layout.extents[i].chunks;
    chunk_at[i] = static_cast<std::uint32_t>(table.chunks.size());
    table.chunks.insert(table.chunks.end(), chunks.begin(), chunks.end());
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Extent& extent = layout.extents[layout.extent_of[i]];
    const Tensor& tensor = tensors[i].tensor;
    table.rows.push_back({{tensors[i].name, tensor.dtype(), tensor.shape(), extent.offset_bytes,
                           tensor.size_bytes(), extent.sha256},
                          extent.chunks.empty() ? 0 : chunk_at[layout.extent_of[i]],
                          static_cast<std::uint32_t>(extent.chunks.size())});
  }
  return table;
}

// What stands before the tensors: places first, since everything's size is known before
// any digest is.
class Head {
 public:
  Head(const EncodedDocument& document, Layout& layout, Value root)
      : document_(document), layout_(layout), attributes_(root_attributes(root)) {
    block_.manifest.size_bytes = document.json.size();
    block_.table.size_bytes = encode_table(make_table(document.tensors, layout), block_).size();
    const std::uint64_t structures_bytes = encode_structures().size();
    block_.structures.offset_bytes = kSuperblockOffset;
    block_.structures.size_bytes = structures_bytes;
    block_.table.offset_bytes = align_up(block_.structures.end(), kSmallAlignment);
    block_.manifest.offset_bytes = align_up(block_.table.end(), kSmallAlignment);
    block_.data_offset = align_up(block_.manifest.end(), kPage);
    std::uint64_t end = block_.data_offset;
    for (Extent& extent : layout.extents) {
      extent.offset_bytes += block_.data_offset;
      end = extent.end();
    }
    block_.file_bytes = align_up(end, kPage);
  }

  std::uint64_t file_bytes() const { return block_.file_bytes; }

  // When all tensors are written and their digests known. Returns the file's digest.
  Digest write(DirectWriter& writer) {
    const std::vector<std::byte> table =
        encode_table(make_table(document_.tensors, layout_), block_);
    const std::vector<std::byte> structures = encode_structures();
    block_.structures.sha256 = sha256(structures);
    block_.table.sha256 = sha256(table);
    block_.manifest.sha256 = sha256(document_.json);
    const auto first = encode_first_block(block_);
    Stream stream(writer, 0);
    stream.append(first);
    stream.append(structures);
    stream.pad_to(block_.table.offset_bytes);
    stream.append(table);
    stream.pad_to(block_.manifest.offset_bytes);
    stream.append(as_bytes(document_.json));
    stream.finish();
    return sha256(first);
  }

 private:
  std::vector<std::byte> encode_structures() const {
    const TensorTable table = make_table(document_.tensors, layout_);
    std::vector<Shape> shapes;
    return encode_hdf5(list_datasets(block_, table, shapes), attributes_, block_.file_bytes);
  }

  const EncodedDocument& document_;
  Layout& layout_;
  std::vector<Attribute> attributes_;
  FirstBlock block_;
};

unsigned threads_for(unsigned jobs) {
  // Direct writes block their thread: while some wait for the disk, others hash.
  return jobs > 0 ? jobs : 2 * available_cores() + 2;
}

}  // namespace

WriteReport write_hdf5(const std::filesystem::path& target, const Document& document,
                       const WriteOptions& options) {
  const EncodedDocument encoded = encode_manifest(document.root);
  Layout layout = lay_out(encoded.tensors);
  Head head(encoded, layout, document.root);

  DurableFile file = create(target, options.publish);
  WriteReport report;
  {
    DirectWriter writer(file, head.file_bytes(), options.direct, options.on_bytes);
    const auto work = list_work(layout, writer);
    parallel_for(work.size(), threads_for(options.jobs), [&](std::size_t i) { work[i](); });
    report.file_digest = head.write(writer);
    report.used_direct = writer.direct();
  }
  publish(file, options.publish);

  report.file_bytes = head.file_bytes();
  report.tensors = encoded.tensors.size();
  for (const Extent& extent : layout.extents) report.tensor_bytes += extent.tensor->size_bytes();
  return report;
}

}  // namespace reprise::container
