#include "engine/determinism/op_trace.h"

#include "ckpt/base/error.h"

#include <ATen/ATen.h>
#include <ATen/SequenceNumber.h>
#include <ATen/record_function.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>
#include <memory>
#include <mutex>
#include <utility>

namespace reprise::engine {
namespace {

// The trace that is being made, if any.
std::atomic<OpTrace*> active_trace = nullptr;
std::mutex leaves_mutex;

// Autograd numbers the nodes that a thread makes: those from `first` on are `module`'s, up to the
// next entry. That is how a node on the way back finds the module it came from.
struct Span {
  std::uint64_t first;
  std::string_view module;
};

struct ThreadState {
  bool in_leaf = false;
  OpTrace::Place place;
  std::vector<TracedOp> ops;
  std::vector<Span> spans;
  std::string_view module;
  int backward_depth = 0;
};

thread_local ThreadState state;

void enter(std::string_view module) {
  state.module = module;
  if (state.in_leaf) state.spans.push_back({at::sequence_number::peek(), module});
}

std::string_view module_of(std::int64_t node) {
  std::string_view found;
  for (const Span& span : state.spans) {
    if (node >= 0 && span.first <= static_cast<std::uint64_t>(node)) found = span.module;
  }
  return found;
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15U;
  return hash ^ (hash >> 29U);
}

std::uint64_t digest(std::uint64_t hash, std::span<const std::byte> bytes) {
  std::uint64_t word = 0;
  while (bytes.size() >= sizeof word) {
    std::memcpy(&word, bytes.data(), sizeof word);
    hash = mixed(hash, word);
    bytes = bytes.subspan(sizeof word);
  }
  word = bytes.size();
  for (const std::byte byte : bytes) word = word << 8U | std::to_integer<std::uint64_t>(byte);
  return mixed(hash, word);
}

std::uint64_t digest(std::uint64_t hash, const at::Tensor& tensor) {
  if (!tensor.defined() || tensor.layout() != at::kStrided) return hash;
  const at::Tensor flat = tensor.detach().cpu().contiguous();
  return digest(hash, {static_cast<const std::byte*>(flat.const_data_ptr()), flat.nbytes()});
}

// Whether an op gives memory that nobody has written, or another look at what is there already.
bool gives_nothing_new(const at::RecordFunction& op) {
  const std::string_view name = op.name();
  for (const std::string_view one : {"empty", "resize_", "detach"}) {
    if (name.find(one) != std::string_view::npos) return true;
  }
  const auto schema = op.operator_schema();
  if (!schema) return false;
  for (const c10::Argument& argument : schema->returns()) {
    if (argument.alias_info() != nullptr && !argument.alias_info()->isWrite()) return true;
  }
  return false;
}

// What was so before a node of the backward pass ran.
struct Before : at::ObserverContext {
  explicit Before(std::string_view m) : module(m) {}
  std::string_view module;
};

std::unique_ptr<at::ObserverContext> op_begins(const at::RecordFunction& op) {
  if (!state.in_leaf || op.scope() != at::RecordScope::BACKWARD_FUNCTION) return nullptr;
  auto before = std::make_unique<Before>(state.module);
  state.module = module_of(op.seqNr());
  ++state.backward_depth;
  return before;
}

void op_ended(const at::RecordFunction& op, at::ObserverContext* context) {
  if (!state.in_leaf) return;
  if (context != nullptr) {
    state.module = static_cast<Before*>(context)->module;
    --state.backward_depth;
    return;
  }
  if (op.scope() != at::RecordScope::FUNCTION || gives_nothing_new(op)) return;
  const at::NoGradGuard no_gradients;
  std::uint64_t hash = 0;
  for (const c10::IValue& output : op.outputs()) {
    if (output.isTensor()) {
      hash = digest(hash, output.toTensor());
    } else if (output.isTensorList()) {
      for (const at::Tensor& tensor : output.toTensorVector()) hash = digest(hash, tensor);
    }
  }
  state.ops.push_back(
      {std::string(op.name()), std::string(state.module), state.backward_depth > 0, hash});
}

}  // namespace

OpTrace::OpTrace() {
  OpTrace* none = nullptr;
  if (!active_trace.compare_exchange_strong(none, this)) {
    fail(Code::kInternal, "two traces of ops at a time");
  }
  callback_ = at::addGlobalCallback(
      at::RecordFunctionCallback(&op_begins, &op_ended)
          .needsOutputs(true)
          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
}

OpTrace::~OpTrace() { stop(); }

void OpTrace::stop() {
  if (active_trace.load() != this) return;
  at::removeCallback(callback_);
  active_trace = nullptr;
}

std::string Divergence::text() const {
  std::string where = op.name;
  if (!op.module.empty() || op.backward) {
    where += fmt::format(" in the {} pass of {}", op.backward ? "backward" : "forward",
                         op.module.empty() ? "no layer" : op.module);
  }
  return fmt::format("update {}, shard {}: {}", update + 1, leaf, where);
}

std::optional<Divergence> first_divergence(const OpTrace& first, const OpTrace& second) {
  for (const auto& [place, ops] : first.leaves()) {
    const auto found = second.leaves().find(place);
    const std::vector<TracedOp> none;
    const std::vector<TracedOp>& others = found == second.leaves().end() ? none : found->second;
    for (std::size_t i = 0; i < std::max(ops.size(), others.size()); ++i) {
      const bool both = i < ops.size() && i < others.size();
      if (both && ops[i].name == others[i].name && ops[i].digest == others[i].digest) continue;
      return Divergence{place.first, place.second, i < ops.size() ? ops[i] : others[i]};
    }
  }
  return std::nullopt;
}

LeafScope::LeafScope(std::uint64_t update, std::uint64_t leaf) {
  if (active_trace.load() == nullptr) return;
  state = {};
  state.in_leaf = true;
  state.place = {update, leaf};
}

LeafScope::~LeafScope() {
  if (!state.in_leaf) return;
  const std::lock_guard lock(leaves_mutex);
  auto& ops = active_trace.load()->leaves_[state.place];
  ops.insert(ops.end(), std::make_move_iterator(state.ops.begin()),
             std::make_move_iterator(state.ops.end()));
  state = {};
}

void LeafScope::note(std::string_view name, std::span<const std::byte> bytes) {
  if (state.in_leaf) state.ops.push_back({std::string(name), {}, false, digest(0, bytes)});
}

ModuleScope::ModuleScope(std::string_view module) : before_(state.module) { enter(module); }
ModuleScope::~ModuleScope() { enter(before_); }

}  // namespace reprise::engine
