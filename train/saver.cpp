#include "train/saver.h"

#include "ckpt/base/progress.h"
#include "ckpt/store/save.h"
#include "ckpt/store/shared_save.h"

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

bool in_saved_epochs(const experiment::Config& config, std::uint64_t epoch) {
  const auto end = static_cast<std::uint64_t>(config.save_end);
  return epoch >= static_cast<std::uint64_t>(config.save_begin) && (end == 0 || epoch <= end);
}

bool saves_epoch(const experiment::Config& config, std::uint64_t epoch) {
  const auto begin = static_cast<std::uint64_t>(config.save_begin);
  return in_saved_epochs(config, epoch) &&
         (epoch - begin) % static_cast<std::uint64_t>(config.save_every) == 0;
}

SaveKinds kinds_of_save(const experiment::Config& config, bool best) {
  return {.persistent = config.save_best_only ? best : !config.save_last_only,
          .rolling = config.save_last_only || config.save_best_only};
}

Saver::Saver(const experiment::Config& config, store::RunDirectory run, RunLog& log,
             container::Crew* crew, unsigned jobs)
    : config_(config),
      run_(std::move(run)),
      log_(log),
      crew_(crew),
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
  save(checkpoint, kinds_of_save(config_, best), crew_);
}

void Saver::save(const Checkpoint& checkpoint, SaveKinds kinds, container::Crew* crew) {
  const std::uint64_t update = checkpoint.progress->update;
  if (last_update_ == update) return;
  const auto share = crew != nullptr ? store::share_of(checkpoint, *crew) : std::nullopt;
  if (!share) crew = nullptr;
  if (config_.async_save) {
    store::Wanted wanted;
    if (share) wanted = [&share](const Tensor& tensor) { return share->has(tensor); };
    forgetting_failed([&] {
      async_->submit(
          checkpoint,
          [this, kinds, crew](const Checkpoint& snapshot) { write(snapshot, kinds, crew); },
          wanted);
    });
  } else {
    write(checkpoint, kinds, crew);
  }
  last_update_ = update;
}

template <typename Work>
void Saver::forgetting_failed(const Work& work) {
  try {
    work();
  } catch (...) {
    last_update_.reset();
    throw;
  }
}

void Saver::check() {
  forgetting_failed([&] { async_->check(); });
}

void Saver::finish() {
  forgetting_failed([&] { async_->finish(); });
}

void Saver::save_alone(const Checkpoint& checkpoint) {
  try {
    finish();
  } catch (const std::exception& error) {
    log_.warn(error.what());
  }
  save(checkpoint, kinds_of_save(config_, false), nullptr);
  finish();
}

void Saver::save_rolling_now(const Checkpoint& checkpoint) {
  finish();
  write(checkpoint, {.rolling = true}, nullptr);
}

void Saver::write(const Checkpoint& checkpoint, SaveKinds kinds, container::Crew* crew) {
  // A checkpoint refers to the ledger's chain: the lines have to be durable first.
  if (checkpoint.ledger) File::open(run_.file("ledger.jsonl")).sync();
  const auto one = [&](store::SaveKind kind) {
    const store::SaveReport report =
        store::save(checkpoint, run_.checkpoints(), {.kind = kind, .jobs = jobs_, .crew = crew});
    log_.info(
        fmt::format("update {}: saved checkpoints/{} ({}, {:.2f} s{})", checkpoint.progress->update,
                    report.path.filename().string(), format_bytes(report.bytes), report.seconds,
                    crew == nullptr ? "" : fmt::format(", written by {} processes", crew->size())));
  };
  if (kinds.persistent) one(store::SaveKind::kPersistent);
  if (kinds.rolling) one(store::SaveKind::kRolling);

  if (!retention_) return;
  const store::RetentionPlan plan = retention_->apply();
  if (plan.removed.empty()) return;
  log_.info(fmt::format("update {}: removed {} older checkpoint{} ({})",
                        checkpoint.progress->update, plan.removed.size(),
                        plan.removed.size() == 1 ? "" : "s", format_bytes(plan.bytes())));
}

}  // namespace reprise::train
