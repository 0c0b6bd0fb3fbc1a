// When training saves, as what, and what older saves go.
#pragma once

#include "ckpt/container/crew.h"
#include "ckpt/store/async_save.h"
#include "ckpt/store/retention.h"
#include "ckpt/store/run_directory.h"
#include "experiment/config.h"
#include "train/run_log.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace reprise::train {

// Whether --save-begin and --save-end have an epoch (from 1) between them.
bool in_saved_epochs(const experiment::Config& config, std::uint64_t epoch);
// Whether an epoch that just ended (from 1) is one that --save-begin, --save-end and --save-every
// ask for.
bool saves_epoch(const experiment::Config& config, std::uint64_t epoch);

// The files that one save makes.
struct SaveKinds {
  bool persistent = false;
  bool rolling = false;
};
SaveKinds kinds_of_save(const experiment::Config& config, bool best);

// Writes checkpoints into a run directory, beside training unless --sync-save, and applies the
// retention that the configuration asks for. Owned by the training thread of the first rank.
class Saver {
 public:
  // Looks once at which saves other runs refer to. `crew`: the ranks that write large states
  // together with this one, whose save_share() follows this one's saves; null: there are none.
  // All arguments must outlive this.
  Saver(const experiment::Config& config, store::RunDirectory run, RunLog& log,
        container::Crew* crew, unsigned jobs);
  // Waits for a save under way.
  ~Saver() = default;

  // Saves `checkpoint`; `best`: it has the best major metric so far. Returns after a copy in
  // memory, or when the file is durable with --sync-save. One save an update: a second one of
  // the same update is left out.
  // Every rank of the crew calls it, or its SaveShare's, at the same updates.
  // Errors: those of this save, or of the one before.
  void save(const Checkpoint& checkpoint, bool best);
  // As save(), but by this process alone, and done when it returns. A save under way that failed,
  // as it does when another rank is lost, is no obstacle: what was to be saved then is saved now.
  void save_alone(const Checkpoint& checkpoint);
  // As save_alone(), but into the rolling file. Errors: those of the save before, too.
  void save_rolling_now(const Checkpoint& checkpoint);

  // Throws what a save under way threw; costs one atomic load when all is well.
  void check();
  // Waits for the save under way; throws what it threw.
  void finish();

  std::optional<std::uint64_t> last_saved_update() const { return last_update_; }

 private:
  void save(const Checkpoint& checkpoint, SaveKinds kinds, container::Crew* crew);
  void write(const Checkpoint& checkpoint, SaveKinds kinds, container::Crew* crew);
  // For what throws when the save before failed: its state is not saved then.
  template <typename Work>
  void forgetting_failed(const Work& work);

  const experiment::Config& config_;
  store::RunDirectory run_;
  RunLog& log_;
  container::Crew* crew_;
  unsigned jobs_;
  std::optional<store::RetentionKeeper> retention_;
  std::optional<std::uint64_t> last_update_;
  std::unique_ptr<store::AsyncSaver> async_;  // last: its thread uses the others
};

}  // namespace reprise::train
