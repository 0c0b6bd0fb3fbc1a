// The training loop: update after update, with everything that happens between two of them.
#pragma once

#include "ckpt/base/io.h"
#include "engine/distributed/communicator.h"
#include "engine/shards/plan.h"
#include "engine/workers/worker_pool.h"
#include "experiment/parts.h"
#include "train/learner.h"
#include "train/run_ledger.h"
#include "train/run_log.h"
#include "train/run_plan.h"
#include "train/save_share.h"
#include "train/saver.h"
#include "train/stop_request.h"

#include <optional>
#include <string>

namespace reprise::train {

// What a loop works with. Everything outlives it.
struct LoopParts {
  const experiment::Config& config;
  const experiment::DataFacts& facts;
  const experiment::DataSets& data;
  const RunPlan& plan;
  Mode& mode;
  c10::Device device;
  engine::WorkerPool& pool;
  engine::Communicator& communicator;
  Learner& learner;
  const CheckpointFrame& frame;
  RunLedger* ledger;  // null: none, and on every rank but the first, as the next two
  RunLog* log;
  Saver* saver;
  SaveShare* save_share;  // of a further rank that writes together with the first; else null
  const StopRequest& stop;
  Io& io;
};

enum class Ending {
  kFinished,  // all epochs, --max-updates, or --patience
  kStopped,   // a signal or --max-hours: resumable
  kDiverged,  // the loss: the state of before is saved
};

struct LoopResult {
  Ending ending = Ending::kFinished;
  std::string reason;  // for people
  // Stopped by a warning or a limit, and not by somebody who wants it to end.
  bool goes_on_later = false;
};

// Every rank calls it; the first one writes. Trains from the learner's progress to the end. The
// bits of the learner afterwards are a function of configuration, data and start alone: no clock,
// thread, evaluation or save has a part in them. When it returns, all saves are on the disk.
// Errors: those of data, engine, ledger and saving; what was saved before stays, and the state
// after the last whole update is saved if it can be.
LoopResult run_loop(const LoopParts& parts);

}  // namespace reprise::train
