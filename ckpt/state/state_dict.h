// Named tensors in order: what PyTorch calls a state dict.
#pragma once

#include "ckpt/state/tensor.h"

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace reprise {

// Keeps the order of insertion; look-up by name is constant time. Copying copies
// names and views, never tensor bytes. Not synchronised.
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
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  std::vector<Item> items_;
  std::unordered_map<std::string, std::size_t, Hash, std::equal_to<>> index_;
};

}  // namespace reprise
