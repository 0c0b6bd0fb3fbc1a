// Where the values of a document's tensors lie in a native file.
#pragma once

#include "ckpt/base/sha256.h"
#include "ckpt/container/tensor_names.h"
#include "ckpt/state/tensor.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <tuple>
#include <vector>

namespace reprise::container {

// Tensors are tied when they are the same view of the same bytes. Two storages over the
// same memory count as the same: each framework tensor may bring its own.
using ViewKey = std::tuple<const void*, DType, std::int64_t, Shape, Shape, bool, bool>;
ViewKey view_key(const Tensor& tensor);

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
  // First extents of runs that start on a page, which can be written independently: small tensors
  // together, or one large one.
  std::vector<std::size_t> groups;

  std::span<Extent> group(std::size_t index);
  std::span<const Extent> group(std::size_t index) const;
  std::uint64_t tensor_bytes() const;  // tied tensors counted once
};

// Places tensors one behind the other, in their order, from 0 on. `tensors` must outlive the
// result. It follows from types, shapes and ties alone, so processes that hold equal states get
// equal layouts. Cost: O(tensors).
Layout lay_out(const std::vector<NamedTensor>& tensors);

// Equal for equal names, types, shapes and places: whether processes mean the same file.
Digest layout_digest(const std::vector<NamedTensor>& tensors, const Layout& layout);

// For each group the number, below `writers`, of who writes it. The largest go first to whoever has
// least, so that with many groups nobody has much more than the others; a group stays whole, since
// the digest of a large tensor is one chain. A function of the layout alone.
std::vector<unsigned> share_groups(const Layout& layout, unsigned writers);

// Which tensors of a document one of several writers reads. Keeps no tensor alive.
class TensorShare {
 public:
  // What share_groups() gives to number `writer`.
  TensorShare(const std::vector<NamedTensor>& tensors, unsigned writer, unsigned writers);
  bool has(const Tensor& tensor) const { return mine_.contains(view_key(tensor)); }
  // Of all writers' tensors.
  std::uint64_t total_bytes() const { return total_bytes_; }

 private:
  std::set<ViewKey> mine_;
  std::uint64_t total_bytes_;
};

}  // namespace reprise::container
