#include "train/saver.h"

#include "ckpt/base/progress.h"
#include "ckpt/store/save.h"

namespace reprise::train {
namespace {

store::RetentionPolicy retention_policy(const experiment::Config& config) {
  store::RetentionPolicy policy;
  if (config.save_best_only) policy.keep_best = true;
  if (config.keep_last > 0) {
    policy.keep_last = static_cast<std::uint64_t>(config.keep_last);
    policy.keep_best = true;
  }
  return policy;
}

}  // namespace

bool saves_epoch(const experiment::Config& config, std::uint64_t epoch) {
  const auto begin = static_cast<std::uint64_t>(config.save_begin);
  const auto end = static_cast<std::uint64_t>(config.save_end);
  if (epoch < begin || (end != 0 && epoch > end)) return false;
  return (epoch - begin) % static_cast<std::uint64_t>(config.save_every) == 0;
}

Saver::Saver(const experiment::Config& config, store::RunDirectory run, RunLog& log, unsigned jobs)
    : config_(config),
      run_(std::move(run)),
      log_(log),
      jobs_(jobs),
      async_(std::make_unique<store::AsyncSaver>(jobs)) {
  const store::RetentionPolicy policy = retention_policy(config_);
  if (!policy.keeps_something()) return;
  retention_.emplace(run_, policy);
  for (const store::Unseen& unseen : retention_->unseen()) {
    log_.warn(fmt::format(
        "no older checkpoint is removed: {} cannot be looked into and may refer to one ({})",
        unseen.folder.string(), unseen.why));
  }
}

void Saver::save(const Checkpoint& checkpoint, bool best) {
  const std::uint64_t update = checkpoint.progress->update;
  if (last_update_ == update) return;
  const bool rolling = config_.save_last_only || config_.save_best_only;
  const bool persistent = config_.save_best_only ? best : !config_.save_last_only;
  if (config_.async_save) {
    async_->submit(checkpoint, [this, persistent, rolling](const Checkpoint& snapshot) {
      write(snapshot, persistent, rolling);
    });
  } else {
    write(checkpoint, persistent, rolling);
  }
  last_update_ = update;
}

void Saver::save_rolling_now(const Checkpoint& checkpoint) {
  async_->finish();
  write(checkpoint, false, true);
}

void Saver::write(const Checkpoint& checkpoint, bool persistent, bool rolling) {
  // A checkpoint refers to the ledger's chain: the lines have to be durable first.
  if (checkpoint.ledger) File::open(run_.file("ledger.jsonl")).sync();
  const auto one = [&](store::SaveKind kind) {
    const store::SaveReport report =
        store::save(checkpoint, run_.checkpoints(), {.kind = kind, .jobs = jobs_});
    log_.info(fmt::format("update {}: saved checkpoints/{} ({}, {:.2f} s)",
                          checkpoint.progress->update, report.path.filename().string(),
                          format_bytes(report.bytes), report.seconds));
  };
  if (persistent) one(store::SaveKind::kPersistent);
  if (rolling) one(store::SaveKind::kRolling);

  if (!retention_) return;
  const store::RetentionPlan plan = retention_->apply();
  if (plan.removed.empty()) return;
  log_.info(fmt::format("update {}: removed {} older checkpoint{} ({})",
                        checkpoint.progress->update, plan.removed.size(),
                        plan.removed.size() == 1 ? "" : "s", format_bytes(plan.bytes())));
}

}  // namespace reprise::train
