// What a run learns from, and how: everything in which one --mode differs from another.
#pragma once

#include "ckpt/base/io.h"
#include "ckpt/state/checkpoint.h"
#include "engine/data/loader.h"
#include "engine/metrics/metrics.h"
#include "engine/models/network.h"
#include "engine/optim/optimizer.h"
#include "engine/shards/sharded_step.h"
#include "experiment/parts.h"
#include "train/start.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace reprise::train {

struct Learner;

// What an update of this mode adds up beside gradients and loss.
struct StepNeeds {
  std::int64_t extra_elements = 0;
  bool second_moments = false;
};

// Name and tensor, as the ledger digests them.
using NamedState = std::vector<std::pair<std::string, Tensor>>;

// What evaluation may use beside the mode itself.
struct EvaluationParts {
  const experiment::DataSets& data;
  engine::WorkerPool& pool;
  engine::Communicator& communicator;
  Io& io;
};

// One mode of one run. It owns the state that is its own (a teacher, a centre); what every mode
// has (weights that learn, optimizer, average, progress) is the Learner's. Made once a run by
// make_mode(), used by the training thread; the functions of shard_function() alone run on many
// threads, and read.
class Mode {
 public:
  virtual ~Mode() = default;

  // The network whose architecture the run is named after.
  virtual const engine::Network& network() const = 0;
  // Names and shapes of the weights that learn.
  virtual std::shared_ptr<const engine::Layout> layout() const = 0;
  // The pictures that the loader makes of each sample.
  virtual std::vector<engine::View> views(const engine::Dataset& dataset) const = 0;
  // Multi-scale training: the side of the first of them in update `update`, at most
  // largest_side(); 0: as views() says.
  virtual int side(std::uint64_t /*update*/) const { return 0; }
  virtual int largest_side() const { return 0; }
  virtual StepNeeds needs() const = 0;

  // --load-from, into weights that have just been drawn.
  virtual LoadedWeights load(const engine::Weights& weights) = 0;
  // Once before the first update of a new run, after load(): whatever starts as a copy.
  virtual void begin(const Learner& /*learner*/) {}
  // Where the state of a new run came from, beside --load-from.
  virtual std::vector<Parent> parents() const { return {}; }

  // What ShardedStep runs for update `update`; valid as long as `batch` is.
  virtual engine::ShardFunction shard_function(const Learner& learner, const engine::Batch& batch,
                                               c10::Device device, std::uint64_t update) = 0;
  // Changes what the optimizer is told: schedules that only this mode has.
  virtual void adjust(engine::StepOptions& /*options*/, std::uint64_t /*update*/) const {}
  // After the optimizer's step of update `update`.
  virtual void after_step(const Learner& /*learner*/, const engine::StepResult& /*result*/,
                          std::uint64_t /*update*/, engine::WorkerPool& /*pool*/) {}

  // Type, architecture and weights, the mode's own state included. Tensors are views.
  virtual void describe(const Learner& learner, Checkpoint& checkpoint) const = 0;
  // What of the stored configuration differs from what the user said.
  virtual void describe_config(Json& /*config*/) const {}
  // The reverse, for a checkpoint of the same configuration. Errors: kMismatch naming what is
  // missing or does not fit; then the learner must not be used.
  virtual void restore(const Learner& learner, const Checkpoint& checkpoint) = 0;
  // Appends the mode's own state for the ledger.
  virtual void add_state(NamedState& /*state*/) const {}

  // The metrics of the learner as it stands, from the validation set. Reads; every process calls
  // it and gets the same bits. Errors: those of reading samples.
  virtual engine::Metrics measure(const Learner& learner, const EvaluationParts& parts) const = 0;
  // The names that measure() gives.
  virtual std::vector<std::string> metric_names() const = 0;
  // One of them with the better direction: "val/acc1:max".
  virtual std::string usual_major_metric() const = 0;
};

// Errors: kUsage, kMismatch for a configuration that the mode cannot work with; those of opening
// other checkpoints it names. `config` and `facts` must outlive it.
std::unique_ptr<Mode> make_mode(const experiment::Config& config,
                                const experiment::DataFacts& facts, c10::Device device);

// For `--list mode`: names and one line each.
std::vector<std::pair<std::string, std::string>> modes();

}  // namespace reprise::train
