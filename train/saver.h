// When training saves, as what, and what older saves go.
#pragma once

#include "ckpt/store/async_save.h"
#include "ckpt/store/retention.h"
#include "ckpt/store/run_directory.h"
#include "experiment/config.h"
#include "train/run_log.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace reprise::train {

// Whether an epoch that just ended (from 1) is one that --save-begin, --save-end and --save-every
// ask for.
bool saves_epoch(const experiment::Config& config, std::uint64_t epoch);

// Writes checkpoints into a run directory, beside training unless --sync-save, and applies the
// retention that the configuration asks for. Owned by the training thread.
class Saver {
 public:
  // Looks once at which saves other runs refer to. `config` and `log` must outlive this.
  Saver(const experiment::Config& config, store::RunDirectory run, RunLog& log, unsigned jobs);
  // Waits for a save under way.
  ~Saver() = default;

  // Saves `checkpoint`; `best`: it has the best major metric so far. Returns after a copy in
  // memory, or when the file is durable with --sync-save. One save an update: a second one of
  // the same update is left out.
  // Errors: those of this save, or of the one before.
  void save(const Checkpoint& checkpoint, bool best);
  // As save(), but into the rolling file, and done when it returns.
  void save_rolling_now(const Checkpoint& checkpoint);

  // Throws what a save under way threw; costs one atomic load when all is well.
  void check() { async_->check(); }
  // Waits for the save under way; throws what it threw.
  void finish() { async_->finish(); }

  std::optional<std::uint64_t> last_saved_update() const { return last_update_; }

 private:
  void write(const Checkpoint& checkpoint, bool persistent, bool rolling);

  const experiment::Config& config_;
  store::RunDirectory run_;
  RunLog& log_;
  unsigned jobs_;
  std::optional<store::RetentionKeeper> retention_;
  std::optional<std::uint64_t> last_update_;
  std::unique_ptr<store::AsyncSaver> async_;  // last: its thread uses the others
};

}  // namespace reprise::train
