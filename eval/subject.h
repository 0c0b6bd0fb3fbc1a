// A checkpoint made ready for evaluation: network, weights, and the data to evaluate it on.
#pragma once

#include "ckpt/store/load.h"
#include "engine/data/dataset.h"
#include "engine/models/network.h"
#include "engine/tasks/objective.h"
#include "eval/options.h"
#include "experiment/data_facts.h"
#include "experiment/option_table.h"

#include <memory>
#include <optional>

namespace reprise::eval {

enum class Protocol { kNetwork, kNeighbours, kLinear };

// Opens data sets once for many checkpoints of a run. One thread.
class DataCache {
 public:
  // What the checkpoint was evaluated on in training, or what --data names.
  std::shared_ptr<const engine::Dataset> open(const experiment::Config& config,
                                              const experiment::DataFacts& facts);
  // What its backbone learnt from, or the training half of --data.
  std::shared_ptr<const engine::Dataset> open_training(experiment::Config config);

 private:
  std::string training_key_;
  std::shared_ptr<const engine::Dataset> training_;
  std::string key_;
  std::shared_ptr<const engine::Dataset> dataset_;
};

struct Subject {
  store::LoadedCheckpoint loaded;
  bool trained_here = false;  // its configuration is one of train's
  experiment::Config config;
  experiment::DataFacts facts;
  Protocol protocol = Protocol::kNetwork;
  std::shared_ptr<const engine::Dataset> dataset;
  std::shared_ptr<const engine::Dataset> bank;     // null for kNetwork
  std::shared_ptr<const engine::Network> network;  // the backbone alone, unless kNetwork
  std::unique_ptr<const engine::Objective> objective;
  std::shared_ptr<const engine::Weights> weights;
  std::unique_ptr<engine::Weights> ema;  // null: none in the checkpoint
};

// Any readable checkpoint: a network and its head, a head whose backbone is found by its UUID, or a
// backbone alone (dino). One that train did not write says its
// architecture and nothing of its data: those come from the options. Errors: those of loading;
// kMismatch naming missing and unexpected weights; kUsage for what has to be said with options.
Subject open_subject(const std::string& path, const EvalOptions& options, DataCache& cache,
                     c10::Device device);

}  // namespace reprise::eval
