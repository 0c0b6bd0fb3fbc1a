// Which objects and storages occur more than once in a tree.
#pragma once

#include "ckpt/state/value.h"

#include <cstddef>
#include <unordered_map>
#include <vector>

namespace reprise {

// Objects that Python tells apart by identity: mutable ones, tensors, bare storages.
// Tuples and frozensets are values: written again where they occur again.
bool has_identity(Value value);

// The storage that a tensor or a bare storage lies in, or nullptr.
const Storage* storage_of(Value value);

// Found in one pass over a tree, in time linear in its nodes, without recursion: for
// writers, which must know of an object that it recurs where it occurs first.
class Occurrences {
 public:
  explicit Occurrences(Value root);

  bool recurs(Value value) const;
  // Whether several tensors or bare storages lie in it.
  bool is_shared(const Storage* storage) const;
  std::size_t distinct() const { return counts_.size(); }

 private:
  void visit(Value value);
  void add(Value value);
  void add_entries(const ArenaVector<DictEntry>& entries);
  void add_children(Value value);

  std::vector<Value> open_;
  std::unordered_map<const void*, int> counts_;
  std::unordered_map<const Storage*, int> users_;
};

}  // namespace reprise
