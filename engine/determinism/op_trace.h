// What every op of an update gave, so that two passes over the same updates can be compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise::engine {

// One op as it ran.
struct TracedOp {
  std::string name;    // LibTorch's: aten::addmm
  std::string module;  // the layer or block whose forward or backward pass it is part of, or empty
  bool backward = false;
  std::uint64_t digest = 0;  // of the bytes it gave
};

// Where two passes part.
struct Divergence {
  std::uint64_t update = 0;  // counted from 0
  std::uint64_t leaf = 0;
  TracedOp op;
  // In words: "update 3, shard 1: aten::addmm in the backward pass of blocks.2.mlp.fc1".
  std::string text() const;
};

// Records the ops of all leaves (LeafScope), in whichever thread, while it lives. One at a time.
// What ops leave unwritten (aten::empty) and views of what another op gave are not recorded.
// Cost: one read of the output of each op, and about 150 bytes an op.
class OpTrace {
 public:
  OpTrace();
  ~OpTrace();
  OpTrace(const OpTrace&) = delete;
  OpTrace& operator=(const OpTrace&) = delete;

  // What comes after is not recorded. The trace stays.
  void stop();

  using Place = std::pair<std::uint64_t, std::uint64_t>;  // update, leaf
  // In the order in which they ran; call it when no leaf is under way.
  const std::map<Place, std::vector<TracedOp>>& leaves() const { return leaves_; }

 private:
  friend class LeafScope;
  std::map<Place, std::vector<TracedOp>> leaves_;
  std::uint64_t callback_ = 0;
};

// The first op that ran in only one of them or gave other bits: of the earliest update, of the
// lowest leaf. Nothing: all are the same.
std::optional<Divergence> first_divergence(const OpTrace& first, const OpTrace& second);

// While it lives, ops of this thread belong to that leaf. Costs nothing without an OpTrace.
class LeafScope {
 public:
  LeafScope(std::uint64_t update, std::uint64_t leaf);
  ~LeafScope();
  LeafScope(const LeafScope&) = delete;
  LeafScope& operator=(const LeafScope&) = delete;

  // Bytes that no op gave, as if an op of this name had.
  void note(std::string_view name, std::span<const std::byte> bytes);
};

// While it lives, ops of this thread are part of `module`, which must outlive it, and so is the
// backward pass of what they compute. Costs a few thread-local writes.
class ModuleScope {
 public:
  explicit ModuleScope(std::string_view module);
  ~ModuleScope();
  ModuleScope(const ModuleScope&) = delete;
  ModuleScope& operator=(const ModuleScope&) = delete;

 private:
  std::string_view before_;
};

}  // namespace reprise::engine
