// What a rank beside the first one does for a save.
#pragma once

#include "ckpt/container/crew.h"
#include "ckpt/store/async_save.h"
#include "experiment/config.h"

#include <cstdint>
#include <optional>

namespace reprise::train {

// Writes this rank's part of each large state that the first rank's Saver saves, beside training
// unless --sync-save. Owned by the training thread. A write that fails does not end this rank: the
// first one is told, and ends the run with the reason.
class SaveShare {
 public:
  // Both must outlive this.
  SaveShare(const experiment::Config& config, container::Crew& crew, unsigned jobs);

  // For every Saver::save() of the first rank, at the same update and with the same `best`. Returns
  // after a copy in memory of the part, and at once where the state is small.
  // Errors: those of reading tensors; kIo when there is no memory for the copy.
  void save(const Checkpoint& checkpoint, bool best);
  // Waits for the part under way.
  void finish() { async_.finish(); }

 private:
  void write(const Checkpoint& checkpoint, bool best);

  const experiment::Config& config_;
  container::Crew& crew_;
  unsigned jobs_;
  std::optional<std::uint64_t> last_update_;
  store::AsyncSaver async_;  // last: its thread uses the others
};

}  // namespace reprise::train
