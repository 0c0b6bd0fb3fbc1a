#include "train/unchanged.h"

#include "ckpt/base/error.h"
#include "engine/device/device.h"
#include "train/run_ledger.h"

#include <fmt/format.h>

namespace reprise::train {

// A data set that changed under a run is a change of configuration like another one.
void refuse_changed_data(const StartPoint& start, const experiment::DataFacts& now, RunLog* log) {
  const experiment::DataFacts before =
      experiment::data_facts_from(start.resumed->checkpoint.config.at("derived"));
  if (before.train_digest == now.train_digest) return;
  const std::string what = fmt::format(
      "{}: the training data differ from those that {} was trained on: {} samples, digest {}..., "
      "was {} samples, digest {}...",
      start.config.data, start.resumed->path.string(), now.train_samples,
      now.train_digest.substr(0, 12), before.train_samples, before.train_digest.substr(0, 12));
  if (!start.config.allow_config_change) {
    fail(Code::kMismatch, "{}; restore them, or accept that with --allow-config-change", what);
  }
  if (log != nullptr) log->warn(what);
}

// The words of --device do not decide it: auto is another device on another machine.
void refuse_changed_device(StartPoint& start, c10::Device device) {
  const std::string before = experiment::device_kind_of(start.resumed->checkpoint.config);
  const std::string now = engine::device_kind(device);
  if (before.empty() || before == now) return;
  if (!start.config.allow_config_change) {
    fail(Code::kMismatch,
         "{}: it was trained on {}, --device {} is {} here; the resumed run would not have the "
         "bits of one never stopped: resume with --device {}, or accept that with "
         "--allow-config-change",
         start.resumed->path.string(), printable(before, 40), start.config.device, now,
         printable(before, 40));
  }
  std::erase_if(start.differences, [](const auto& one) { return one.key == "device"; });
  start.differences.push_back({"device", printable(before, 40), now, true});
}

// The state that a run resumes from is the one that its ledger recorded: a bit that flipped on a
// disk or in memory, or an edited checkpoint, would go unnoticed otherwise.
void refuse_changed_state(const StartPoint& start, const std::string& state) {
  const Checkpoint& checkpoint = start.resumed->checkpoint;
  if (!checkpoint.ledger || start.config.allow_config_change) return;
  const auto recorded = recorded_state(start.resumed->path, checkpoint.ledger->update);
  if (!recorded || *recorded == state) return;
  fail(Code::kMismatch,
       "{}: its weights and optimizer have the digest {}, the ledger recorded {} after update {}; "
       "one of the two was changed: resume from another checkpoint, or accept this one with "
       "--allow-config-change",
       start.resumed->path.string(), state, *recorded, checkpoint.ledger->update);
}

}  // namespace reprise::train
