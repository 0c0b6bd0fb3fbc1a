// Linked into the train binary beside its main: an op that once gives another bit, as a faulty core
// or a kernel with a race does. REPRISE_TEST_FLIP="RANK OP N" names the rank, the op, and which of
// its calls, counted from 1.
#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

namespace {

struct Flip {
  std::string rank, op;
  std::uint64_t call = 0;
};

Flip wanted() {
  const char* text = std::getenv("REPRISE_TEST_FLIP");
  Flip flip;
  std::istringstream(text == nullptr ? "" : text) >> flip.rank >> flip.op >> flip.call;
  return flip;
}

void op_ended(const at::RecordFunction& op, at::ObserverContext* /*context*/) {
  static const Flip kFlip = wanted();
  static std::atomic<std::uint64_t> calls = 0;
  if (kFlip.op != op.name() || ++calls != kFlip.call) return;
  const at::NoGradGuard no_gradients;
  at::Tensor output = op.outputs().at(0).toTensor();
  *static_cast<std::uint32_t*>(output.mutable_data_ptr()) ^= 1U << 20U;
}

// Before main, so before the trace of --selfcheck, which then sees what the op gave.
const bool kIsFlaky = [] {
  const char* rank = std::getenv("RANK");
  if (wanted().rank != (rank == nullptr ? "0" : rank)) return false;
  at::addGlobalCallback(at::RecordFunctionCallback(nullptr, &op_ended)
                            .needsOutputs(true)
                            .scopes({at::RecordScope::FUNCTION}));
  return true;
}();

}  // namespace
