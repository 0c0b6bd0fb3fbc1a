// The pickle of a tree, opcode by opcode, while it is being written.
//
// Nothing recurses: what is left to write waits on a stack of steps, so that a list nested a
// million deep costs memory and no stack. writer.cpp walks the tree and writes Python's own
// values, write_tensors.cpp tensors, write_library.cpp values of libraries.
#pragma once

#include "ckpt/pickle/emitter.h"
#include "ckpt/pickle/writer.h"
#include "ckpt/state/occurrences.h"

#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace reprise::pickle {

// One use: construct, write(). The tree has to outlive it. Not thread-safe.
// Errors: those of pickle::write.
class Writer {
 public:
  Writer(Value root, Loadable loadable);
  Pickled write();

 private:
  // What is left to write.
  struct Step {
    enum What { kValue, kOp, kItems, kPairs, kCloseTuple, kMemoize, kTensorTail } what = kValue;
    Value value;
    Op op = Op::kStop;
    std::size_t size = 0;  // of a tuple; of a batch that is open
    std::span<const Value> items = {};
    std::span<const DictEntry> entries = {};
  };

  static Step step(Value value) { return {.what = Step::kValue, .value = value}; }
  static Step step(Op op) { return {.what = Step::kOp, .value = {}, .op = op}; }
  static Step items(std::span<const Value> values) {
    return {.what = Step::kItems, .value = {}, .items = values};
  }
  static Step pairs(std::span<const DictEntry> entries) {
    return {.what = Step::kPairs, .value = {}, .entries = entries};
  }
  static Step memoize(Value value) { return {.what = Step::kMemoize, .value = value}; }

  void then(std::vector<Step> steps);
  void require(Loadable needed, std::string_view what) const;
  void take(Step& next);
  // One batch of what remains, then the rest.
  template <typename Item>
  void batch(Step& next, std::span<const Item>& all, Op one, Op many);
  static void add_item(std::vector<Step>& steps, const Value& item);
  static void add_item(std::vector<Step>& steps, const DictEntry& entry);
  void remember(Value value);
  void value(Value v);
  // Long ones are fetched when they come again, found by where they lie: a small file may refer
  // to a long one a million times. Its parts may begin at the same place.
  void text(std::string_view text);
  template <typename Write>
  void once(Value v, Bytes bytes, Write write);
  void global(std::string_view name);
  void tuple(Value v);
  void close_tuple(const Step& next);
  void set(Value v);
  void dict(Value v);
  void opaque(Value v);
  bool recurs(Value value) const { return occurrences_.recurs(value); }

  // Tensors: write_tensors.cpp

  // ("storage", class, key, "cpu", elements) as a persistent id, over its bytes.
  void storage(const Tensor& tensor, DType dtype, bool whole);
  // The call of a strided tensor up to its strides.
  void open_strided(const TensorNode& node);
  void per_channel(Value v);
  void strided(const TensorNode& node);
  // requires_grad and what follows it, up to the call.
  void tensor_tail(const TensorNode& node);
  void sparse(Value v);
  void sparse_tail(const TensorNode& node);
  void tensor(Value v);
  // _rebuild_from_type_v2(function, class, arguments, state).
  void typed_tensor(Value v, bool has_state);
  void meta(const TensorNode& node);

  // Values of libraries: write_library.cpp

  void layout(std::string_view name);
  void size(const Shape& shape);
  void device(std::string_view text);
  void time_delta(std::int64_t days, std::int64_t seconds, std::int64_t micros);
  // The bytes that datetime's own __reduce__ gives, from ISO 8601 text.
  void date_or_time(RecordClass cls, std::string_view text);
  // "+02:00" as a datetime.timezone.
  void zone(std::string_view offset);
  void record(Value v);

  Occurrences occurrences_;
  Loadable loadable_;
  Emitter out_;
  std::vector<Step> steps_;
  std::unordered_map<const void*, std::uint32_t> memo_;
  std::map<std::pair<const void*, std::size_t>, std::uint32_t> long_ones_;
  std::unordered_map<const Storage*, std::size_t> keys_;
  std::vector<Tensor> storages_;
};

// Errors: kUnsupported, always: what a .pth file for torch.load(weights_only=True) cannot hold.
[[noreturn]] void refuse_to_write(std::string_view what);

}  // namespace reprise::pickle
