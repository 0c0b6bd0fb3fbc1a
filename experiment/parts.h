// From a configuration to the things that training and evaluation work with: data sets, views,
// network, objective.
#pragma once

#include "engine/data/view.h"
#include "engine/models/network.h"
#include "engine/optim/optimizer.h"
#include "engine/schedules/schedule.h"
#include "engine/tasks/objective.h"
#include "experiment/config.h"
#include "experiment/data_facts.h"

#include <memory>

namespace reprise::experiment {

struct DataSets {
  std::shared_ptr<const engine::Dataset> train;
  std::shared_ptr<const engine::Dataset> validation;  // null: nothing to evaluate on
};

// Opens what the configuration names. Errors: those of open_dataset; kUsage when there is
// nothing to evaluate on although the configuration asks for it, with the ways out.
DataSets open_data(const Config& config);
// The validation set alone, as training would have it: for evaluating a checkpoint. `class_names`:
// of the network. `data` and `val_data` of the configuration may have been replaced by the caller.
std::shared_ptr<const engine::Dataset> open_validation(const Config& config,
                                                       const DataFacts& facts);

// Computes the digests of the sets: reads every file.
DataFacts facts_of(const Config& config, const DataSets& data);

// What samples look like to the network; without augmentation for evaluation.
engine::View training_view(const Config& config, const DataFacts& facts,
                           const engine::Dataset& dataset);
engine::View evaluation_view(const DataFacts& facts);

engine::NetworkOptions network_options(const Config& config, const DataFacts& facts);
std::unique_ptr<const engine::Network> make_network(const Config& config, const DataFacts& facts);
engine::Objective make_objective(const Config& config, const DataFacts& facts);
engine::OptimizerOptions optimizer_options(const Config& config);
engine::Schedule make_schedule(const Config& config, std::uint64_t updates_per_epoch);
engine::Schedule make_decay_schedule(const Config& config, std::uint64_t updates_per_epoch);

}  // namespace reprise::experiment
