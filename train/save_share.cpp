#include "train/save_share.h"

#include "ckpt/store/shared_save.h"
#include "train/saver.h"

namespace reprise::train {

SaveShare::SaveShare(const experiment::Config& config, container::Crew& crew, unsigned jobs)
    : config_(config), crew_(crew), jobs_(jobs), async_(jobs) {}

// Step by step what Saver::save() does.
void SaveShare::save(const Checkpoint& checkpoint, bool best) {
  const std::uint64_t update = checkpoint.progress->update;
  if (last_update_ == update) return;
  last_update_ = update;
  const auto share = store::share_of(checkpoint, crew_);
  if (!share) return;
  if (!config_.async_save) return write(checkpoint, best);
  async_.submit(
      checkpoint, [this, best](const Checkpoint& snapshot) { write(snapshot, best); },
      [&share](const Tensor& tensor) { return share->has(tensor); });
}

void SaveShare::write(const Checkpoint& checkpoint, bool best) {
  const SaveKinds kinds = kinds_of_save(config_, best);
  for (const bool asked : {kinds.persistent, kinds.rolling}) {
    if (asked && !store::save_share(checkpoint, crew_, jobs_)) return;
  }
}

}  // namespace reprise::train
