#include "train/selfcheck.h"

#include "ckpt/base/error.h"
#include "engine/determinism/op_trace.h"
#include "engine/distributed/gather_texts.h"
#include "train/run_ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

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
            parts.communicator, learner, frame, nullptr, nullptr, nullptr, nullptr, parts.stop,
            parts.io});
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

// What one rank saw: "ops" and "tensors" that it compared, and where its passes part, if they do:
// "first" as data and "text" in words.
Json finding(const Pass& first, const Pass& second) {
  Json found = {{"ops", ops_of(first.trace)}, {"tensors", first.state.size()}};
  if (const auto divergence = engine::first_divergence(first.trace, second.trace)) {
    found["first"] = {{"update", divergence->update + 1},
                      {"shard", divergence->leaf},
                      {"op", divergence->op.name},
                      {"module", divergence->op.module},
                      {"backward", divergence->op.backward}};
    found["text"] = "the two passes part at " + divergence->text();
  } else if (const auto tensor = first_other(first.state, second.state)) {
    found["first"] = {{"tensor", *tensor}};
    found["text"] = fmt::format(
        "every op gave the same bits, but after the last update {} differs: the sum of the "
        "gradients or the optimizer",
        *tensor);
  }
  return found;
}

// What another op gives on one rank reaches all with the sum of the update: of several ranks the
// one that parts first is the cause. A tensor comes after every op.
bool earlier(const Json& one, const Json& other) {
  const auto when = [](const Json& found) {
    constexpr std::uint64_t kAfterAll = std::numeric_limits<std::uint64_t>::max();
    const Json& first = found.at("first");
    return std::pair(first.value("update", kAfterAll), first.value("shard", kAfterAll));
  };
  return when(one) < when(other);
}

struct Verdict {
  bool same = true;
  Json said;
  std::string text;
};

// From what all ranks found; the same on each of them.
Verdict verdict(const std::vector<std::string>& findings, std::int64_t updates) {
  const std::size_t world = findings.size();
  std::uint64_t ops = 0;
  std::vector<Json> parted;
  for (std::size_t rank = 0; rank < world; ++rank) {
    Json found = parse_json(findings[rank]);
    ops += found.at("ops").get<std::uint64_t>();
    if (!found.contains("first")) continue;
    found["first"]["rank"] = rank;
    parted.push_back(std::move(found));
  }
  std::ranges::stable_sort(parted, earlier);
  const Json tensors = parse_json(findings.front()).at("tensors");
  Verdict out;
  out.same = parted.empty();
  out.said = {{"updates", updates}, {"ops", ops}, {"tensors", tensors}, {"same", out.same}};
  if (!out.same) out.said["first"] = parted.front().at("first");
  if (out.same) {
    out.text = fmt::format("{} updates, run twice{}: {} ops and {} tensors have the same bits",
                           updates, world > 1 ? fmt::format(" by {} processes", world) : "", ops,
                           tensors.get<std::uint64_t>());
  }
  for (const Json& found : parted) {
    out.said["parted"].push_back(found.at("first"));
    if (!out.text.empty()) out.text += '\n';
    if (world > 1) out.text += fmt::format("rank {}: ", found.at("first").at("rank").get<int>());
    out.text += found.at("text").get<std::string>();
  }
  return out;
}

}  // namespace

int run_selfcheck(const SelfcheckParts& parts, const std::function<Beginning()>& begin) {
  const auto first = std::make_unique<Pass>();
  run_pass(parts, begin(), *first);
  const auto second = std::make_unique<Pass>();
  run_pass(parts, begin(), *second);

  const Verdict result =
      verdict(engine::gather_texts(parts.communicator, dump_json(finding(*first, *second))),
              parts.config.selfcheck_updates);
  if (parts.communicator.rank() == 0) {
    if (parts.io.json) {
      parts.io.print_json(result.said);
    } else {
      parts.io.print("{}\n", result.text);
    }
  }
  // A launcher ends the others when the first one has left with an error.
  parts.communicator.barrier();
  return result.same ? 0 : static_cast<int>(Code::kNo);
}

}  // namespace reprise::train
