#include "train/selfcheck.h"

#include "ckpt/base/error.h"
#include "engine/determinism/op_trace.h"
#include "train/run_ledger.h"

#include <fmt/format.h>

#include <utility>

namespace reprise::train {
namespace {

struct Pass {
  engine::OpTrace trace;
  TensorDigests state;
};

void run_pass(const SelfcheckParts& parts, Beginning beginning, Pass& pass) {
  Learner& learner = beginning.learner;
  experiment::Config config = parts.config;
  const std::uint64_t first = learner.progress.update;
  config.max_updates = static_cast<std::int64_t>(first) + config.selfcheck_updates;
  const CheckpointFrame frame;
  const RunPlan plan = plan_run(config, parts.facts, parts.communicator);
  run_loop({config, parts.facts, parts.data, plan, *beginning.mode, parts.device, parts.pool,
            parts.communicator, learner, frame, nullptr, nullptr, nullptr, parts.stop, parts.io});
  pass.trace.stop();
  if (learner.progress.update == first) {
    fail(Code::kUsage, "--selfcheck: no update is left to run; start from an earlier checkpoint");
  }
  pass.state = tensor_digests(learner, *beginning.mode, parts.pool.threads());
}

std::size_t ops_of(const engine::OpTrace& trace) {
  std::size_t count = 0;
  for (const auto& [place, ops] : trace.leaves()) count += ops.size();
  return count;
}

// The first tensor of the state that is another one.
std::optional<std::string> first_other(const TensorDigests& first, const TensorDigests& second) {
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (i >= second.size() || first[i] != second[i]) return first[i].first;
  }
  return std::nullopt;
}

}  // namespace

int run_selfcheck(const SelfcheckParts& parts, const std::function<Beginning()>& begin) {
  if (parts.communicator.world() > 1) {
    fail(Code::kUsage,
         "--selfcheck compares the ops of one process, which computes the bits of any number of "
         "them; start one");
  }
  const auto first = std::make_unique<Pass>();
  run_pass(parts, begin(), *first);
  const auto second = std::make_unique<Pass>();
  run_pass(parts, begin(), *second);

  const auto divergence = engine::first_divergence(first->trace, second->trace);
  const auto tensor = first_other(first->state, second->state);
  const bool same = !divergence && !tensor;
  Json said = {{"updates", parts.config.selfcheck_updates},
               {"ops", ops_of(first->trace)},
               {"tensors", first->state.size()},
               {"same", same}};
  std::string text;
  if (divergence) {
    said["first"] = {{"update", divergence->update + 1},
                     {"shard", divergence->leaf},
                     {"op", divergence->op.name},
                     {"module", divergence->op.module},
                     {"backward", divergence->op.backward}};
    text = "the two passes part at " + divergence->text();
  } else if (tensor) {
    said["first"] = {{"tensor", *tensor}};
    text = fmt::format(
        "every op gave the same bits, but after the last update {} differs: the "
        "sum of the gradients or the optimizer",
        *tensor);
  } else {
    text = fmt::format("{} updates, run twice: {} ops and {} tensors have the same bits",
                       parts.config.selfcheck_updates, ops_of(first->trace), first->state.size());
  }
  if (parts.io.json) {
    parts.io.print_json(said);
  } else {
    parts.io.print("{}\n", text);
  }
  return same ? 0 : static_cast<int>(Code::kNo);
}

}  // namespace reprise::train
