// Where a run starts: from nothing, from somebody's weights, or where it was left.
#pragma once

#include "ckpt/store/load.h"
#include "ckpt/store/run_directory.h"
#include "engine/models/network.h"
#include "engine/torch_bridge/load_state.h"
#include "experiment/config.h"

#include <optional>
#include <string>
#include <vector>

namespace reprise::train {

// What the options come to, given what they say to start from.
struct StartPoint {
  experiment::Config config;
  // Of --resume-from: one of these, by whether train wrote it.
  std::optional<store::LoadedCheckpoint> resumed;
  std::optional<store::LoadedCheckpoint> adopted;
  std::vector<experiment::ConfigDifference>
      differences;  // from what the checkpoint was trained with
};

// Resolves the options over those of the checkpoint that is resumed, for `world` processes. Reads
// no tensor bytes but for checking their digests. Errors: kUsage; those of loading; kMismatch for a
// checkpoint that cannot be resumed (naming --load-from), or an option that would change the bits
// (naming --allow-config-change).
// Without `verify` tensors are read by nobody, not for their digests either: to look ahead.
StartPoint plan_start(const std::vector<experiment::OptionLayer>& given, int world,
                      bool verify = true);

// Opens what --backbone or --teacher names, and settles in `start.config` what follows from it: its
// path, the architecture and, where nobody says another, the image size of a backbone.
// Errors: those of open_other() and agreed_arch().
void settle_other_checkpoints(StartPoint& start);

// The run directory, locked for this process. Of a new run: made. Of a resumed one: its own,
// with logs cut back to the checkpoint's update and later saves set aside in superseded/; or,
// with --work-dir, a new one that begins with a copy of its logs and ledger.
struct OpenedRun {
  store::RunDirectory directory;
  store::RunLock lock;
  bool fresh = true;  // this process made it
  std::size_t set_aside = 0;
};
// Errors: kUsage when the directory exists; kMismatch when another process trains in it; kIo.
OpenedRun open_run(const StartPoint& start);

// Writes config.toml; one of other content that was there is kept as config-before-<update>.toml,
// and says how the run began.
void write_config(const store::RunDirectory& run, experiment::Config config, std::uint64_t update);

// The weights of --load-from, in `weights`.
struct LoadedWeights {
  Uuid uuid;
  std::filesystem::path path;
  engine::KeyReport report;
};
// Copies `source` to `targets` by name, all of them unless --no-strict.
// Errors: kMismatch with the report of what does not fit; then the targets must not be used.
engine::KeyReport load_as_told(const experiment::Config& config, const StateDict& source,
                               const std::vector<engine::NamedTensor>& targets,
                               const engine::Adapt& adapt);
// Errors: those of loading; kMismatch for a part that the checkpoint does not have, or, when
// strict, for names and shapes that do not fit.
LoadedWeights load_weights(const experiment::Config& config, const engine::Network& network,
                           const engine::Weights& weights);

}  // namespace reprise::train
