#include "ckpt/container/tensor_layout.h"

#include "ckpt/container/direct_writer.h"
#include "ckpt/container/hdf5_format.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace reprise::container {

namespace {

std::uint64_t group_bytes(std::span<const Extent> group) {
  std::uint64_t bytes = 0;
  for (const Extent& extent : group) bytes += extent.tensor->size_bytes();
  return bytes;
}

}  // namespace

ViewKey view_key(const Tensor& tensor) {
  const void* place = tensor.storage() ? tensor.storage()->identity() : nullptr;
  return {place,           tensor.dtype(),   tensor.offset(),
          tensor.shape(),  tensor.strides(), tensor.conjugated(),
          tensor.negated()};
}

std::span<Extent> Layout::group(std::size_t index) {
  const std::size_t end = index + 1 < groups.size() ? groups[index + 1] : extents.size();
  return std::span(extents).subspan(groups[index], end - groups[index]);
}

std::span<const Extent> Layout::group(std::size_t index) const {
  const std::size_t end = index + 1 < groups.size() ? groups[index + 1] : extents.size();
  return std::span(extents).subspan(groups[index], end - groups[index]);
}

std::uint64_t Layout::tensor_bytes() const { return group_bytes(extents); }

// Runs of small tensors start on a page at least every kStagingBytes, so that threads can write
// them independently.
Layout lay_out(const std::vector<NamedTensor>& tensors) {
  Layout layout;
  std::map<ViewKey, std::size_t> known;
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

Digest layout_digest(const std::vector<NamedTensor>& tensors, const Layout& layout) {
  Sha256 hash;
  const auto number = [&](std::uint64_t value) {
    std::byte bytes[sizeof value];
    store_little(bytes, value);
    hash.update(bytes);
  };
  number(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    number(tensors[i].name.size());
    hash.update(as_bytes(tensors[i].name));
    number(static_cast<std::uint64_t>(tensors[i].tensor.dtype()));
    number(tensors[i].tensor.shape().size());
    for (const std::int64_t size : tensors[i].tensor.shape()) {
      number(static_cast<std::uint64_t>(size));
    }
    number(layout.extents[layout.extent_of[i]].offset_bytes);
  }
  return hash.finish();
}

std::vector<unsigned> share_groups(const Layout& layout, unsigned writers) {
  if (writers == 1) return std::vector<unsigned>(layout.groups.size());
  std::vector<std::uint64_t> bytes;
  for (std::size_t g = 0; g < layout.groups.size(); ++g) {
    bytes.push_back(group_bytes(layout.group(g)));
  }
  std::vector<std::size_t> order(bytes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](std::size_t g) { return bytes[g]; });
  std::vector<std::uint64_t> load(writers);
  std::vector<unsigned> writer_of(bytes.size());
  for (const std::size_t g : order) {
    const auto least = std::ranges::min_element(load);
    writer_of[g] = static_cast<unsigned>(least - load.begin());
    *least += bytes[g];
  }
  return writer_of;
}

TensorShare::TensorShare(const std::vector<NamedTensor>& tensors, unsigned writer,
                         unsigned writers) {
  const Layout layout = lay_out(tensors);
  total_bytes_ = layout.tensor_bytes();
  const std::vector<unsigned> writer_of = share_groups(layout, writers);
  for (std::size_t g = 0; g < writer_of.size(); ++g) {
    if (writer_of[g] != writer) continue;
    for (const Extent& extent : layout.group(g)) mine_.insert(view_key(*extent.tensor));
  }
}

}  // namespace reprise::container
