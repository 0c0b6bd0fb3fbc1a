#include "ckpt/state/state_dict.h"

#include "ckpt/base/error.h"

namespace reprise {

void StateDict::append(std::string name, Tensor tensor) {
  if (!index_.emplace(name, items_.size()).second) {
    fail(Code::kCorrupt, "the state dict names '{}' twice", printable(name));
  }
  items_.emplace_back(std::move(name), std::move(tensor));
}

const Tensor* StateDict::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &items_[found->second].second;
}

std::uint64_t StateDict::size_bytes() const {
  std::uint64_t total = 0;
  for (const auto& [name, tensor] : items_) total += tensor.size_bytes();
  return total;
}

StateDict StateDict::strip_prefix(std::string_view prefix) const {
  StateDict stripped;
  for (const auto& [name, tensor] : items_) {
    if (name.starts_with(prefix)) stripped.append(name.substr(prefix.size()), tensor);
  }
  return stripped;
}

}  // namespace reprise
