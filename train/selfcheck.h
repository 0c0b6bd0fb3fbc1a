// train --selfcheck: the same updates twice, and where their bits part.
#pragma once

#include "train/beginning.h"
#include "train/loop.h"

#include <functional>
#include <memory>
#include <optional>

namespace reprise::train {

// What the two passes share; everything outlives the check.
struct SelfcheckParts {
  const experiment::Config& config;
  const experiment::DataFacts& facts;
  const experiment::DataSets& data;
  c10::Device device;
  engine::WorkerPool& pool;
  engine::Communicator& communicator;
  const StopRequest& stop;
  Io& io;
};

// Runs config.selfcheck_updates updates from `begin()`, and again from another `begin()`, and
// compares what every op gave and what each tensor of the state is at the end. Each rank compares
// its own; the first one prints of every rank whose passes part where they do so first, the
// earliest rank first: the update, the shard, the op and the layer, or the tensor. Writes no file.
// Returns the exit code, the same on all ranks: 0 the same bits, 1 not. Errors: kUsage where no
// update is left to run; those of run_loop().
int run_selfcheck(const SelfcheckParts& parts, const std::function<Beginning()>& begin);

}  // namespace reprise::train
