#include "ckpt/state/state_dict.h"

#include "ckpt/base/error.h"
#include "ckpt/base/keyed_hash.h"

#include <algorithm>

namespace reprise {

namespace {

constexpr std::size_t kFewestSlots = 16;

std::uint64_t hash_of(std::string_view name) {
  static const std::uint64_t key = random_hash_key();
  return keyed_hash(as_bytes(name), key);
}

}  // namespace

std::size_t StateDict::slot_of(std::string_view name) const {
  std::size_t slot = hash_of(name) & (index_.size() - 1);
  while (index_[slot] != 0 && items_[index_[slot] - 1].first != name)
    slot = (slot + 1) & (index_.size() - 1);
  return slot;
}

void StateDict::rebuild_index(std::size_t slots) {
  index_.assign(slots, 0);
  for (std::size_t i = 0; i < items_.size(); ++i)
    index_[slot_of(items_[i].first)] = static_cast<std::uint32_t>(i + 1);
}

void StateDict::append(std::string name, Tensor tensor) {
  // A quarter of the slots stays empty, so that searches end soon.
  if (4 * (items_.size() + 1) > 3 * index_.size())
    rebuild_index(std::max(kFewestSlots, 2 * index_.size()));
  const std::size_t slot = slot_of(name);
  if (index_[slot] != 0) fail(Code::kCorrupt, "the state dict names '{}' twice", printable(name));
  items_.emplace_back(std::move(name), std::move(tensor));
  index_[slot] = static_cast<std::uint32_t>(items_.size());
}

const Tensor* StateDict::find(std::string_view name) const {
  if (items_.empty()) return nullptr;
  const std::uint32_t found = index_[slot_of(name)];
  return found == 0 ? nullptr : &items_[found - 1].second;
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
