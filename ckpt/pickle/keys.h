// Dicts and sets as Python fills them, without quadratic time on any input.
#pragma once

#include "ckpt/state/value.h"

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

namespace reprise::pickle {

// Adds entries to dicts and sets: a repeated key keeps its first place and takes the
// last value. Small ones are searched linearly; larger ones get a hash table, keyed by
// a random number so that no file can be made to collide. One per pickle; keep it as
// long as entries are added.
class KeyTables {
 public:
  // `work` bounds hashing and comparing over the whole pickle.
  explicit KeyTables(std::uint64_t work);
  KeyTables(const KeyTables&) = delete;
  KeyTables& operator=(const KeyTables&) = delete;
  ~KeyTables();

  // `pairs` are key, value, key, value, ...
  // Errors: kUnsupported when tuples as keys need more work than any real file.
  void add(Arena& arena, DictNode& dict, std::span<const Value> pairs);
  void add(Arena& arena, SequenceNode& set, std::span<const Value> items);

  // Takes `amount` out of the work allowed: for other conversions whose cost a file could
  // multiply by naming the same large value again and again.
  void spend(std::uint64_t amount);

  std::uint64_t reserved_bytes() const { return reserved_bytes_; }

 private:
  class Table;
  template <typename Entry>
  void add_all(Arena& arena, ArenaVector<Entry>& entries, const void* owner,
               std::span<const Value> items);
  std::uint64_t hash(Value key, int depth);
  bool equal(Value a, Value b);

  std::uint64_t work_;
  std::uint64_t seed_;
  std::uint64_t reserved_bytes_ = 0;
  std::vector<std::uint32_t> scratch_;
  std::unordered_map<const void*, std::vector<std::uint32_t>> tables_;
};

}  // namespace reprise::pickle
