// Named tensors in order: what PyTorch calls a state dict.
#pragma once

#include "ckpt/state/tensor.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise {

// Keeps the order of insertion; look-up by name is constant time. Copying copies
// names and views, never tensor bytes. Not synchronised for appending.
class StateDict {
 public:
  using Item = std::pair<std::string, Tensor>;

  // Errors: kCorrupt when the name is there already.
  void append(std::string name, Tensor tensor);

  // nullptr when there is none.
  const Tensor* find(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }

  std::size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  std::vector<Item>::const_iterator begin() const { return items_.begin(); }
  std::vector<Item>::const_iterator end() const { return items_.end(); }

  // Sum over tensors of their contiguous size; tied tensors count each time.
  std::uint64_t size_bytes() const;

  // The items whose names start with `prefix`, with the prefix removed.
  StateDict strip_prefix(std::string_view prefix) const;

 private:
  // The slot of `name` in index_: where it stands, or the empty one where it belongs.
  std::size_t slot_of(std::string_view name) const;
  void rebuild_index(std::size_t slots);

  std::vector<Item> items_;
  // Positions in items_ plus one, 0 for none, by hash of their names, with linear probing: a
  // node and a copied name each, as std::unordered_map has them, would be as large as the items.
  std::vector<std::uint32_t> index_;
};

}  // namespace reprise
