#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/container/direct_writer.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/hdf5_format.h"
#include "ckpt/container/manifest.h"
#include "ckpt/container/tensor_layout.h"
#include "ckpt/container/tensor_work.h"

#include <optional>
#include <vector>

namespace reprise::container {

namespace {

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
  std::uint64_t data_offset() const { return block_.data_offset; }

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

}  // namespace

WriteReport write_hdf5(const std::filesystem::path& target, const Document& document,
                       const WriteOptions& options) {
  std::optional<CrewFile> crew;
  if (options.crew) crew.emplace(*options.crew, target);
  const unsigned writers = crew ? options.crew->crew->size() : 1;
  const EncodedDocument encoded = encode_manifest(document.root);
  Layout layout = lay_out(encoded.tensors);
  const std::vector<unsigned> writer_of = share_groups(layout, writers);
  // Before places get their offset in the file.
  const Digest layout_sha256 = crew ? layout_digest(encoded.tensors, layout) : Digest();
  Head head(encoded, layout, document.root);

  DurableFile file = create(target, options.publish);
  WriteReport report;
  {
    DirectWriter writer(file, head.file_bytes(), options.direct, options.on_bytes);
    if (crew) {
      crew->begin(file.file(), head.data_offset(), head.file_bytes(), writer.direct(),
                  layout_sha256);
    }
    const auto work = list_work(layout, writer_of, 0, writer);
    parallel_for(work.size(), disk_threads(options.jobs), [&](std::size_t i) {
      if (crew) crew->check();
      work[i]();
    });
    if (crew) crew->finish(layout);
    report.file_digest = head.write(writer);
    report.used_direct = writer.direct();
  }
  publish(file, options.publish);

  report.file_bytes = head.file_bytes();
  report.tensors = encoded.tensors.size();
  report.tensor_bytes = layout.tensor_bytes();
  return report;
}

}  // namespace reprise::container
