#include "experiment/parts.h"

#include "ckpt/base/error.h"
#include "engine/data/open.h"
#include "experiment/held_out.h"

#include <algorithm>
#include <cstdlib>

namespace reprise::experiment {
namespace {

engine::OpenOptions open_options(const Config& config) {
  engine::OpenOptions options;
  options.cache = config.cache;
  options.skip_bad = config.skip_bad;
  options.generated_side = static_cast<int>(config.image_size);
  return options;
}

// Eight patches a side of a small image, or as near to that as divides it; else 16 pixels.
int usual_patch_size(int image_size) {
  if (image_size > 64 || image_size < 8) return 16;
  const int eighth = image_size / 8;
  int nearest = image_size;
  for (int side = 1; side < image_size; ++side) {
    const bool nearer = std::abs(side - eighth) <= std::abs(nearest - eighth);
    if (image_size % side == 0 && nearer) nearest = side;
  }
  return nearest;
}

std::shared_ptr<const engine::Dataset> open_whole(const Config& config) {
  engine::OpenOptions options = open_options(config);
  options.max_samples = static_cast<std::uint64_t>(config.max_samples);
  return engine::open_dataset(config.data, engine::Split::kTrain, options);
}

std::shared_ptr<const engine::Dataset> open_other(const Config& config,
                                                  const std::vector<std::string>& class_names) {
  engine::OpenOptions options = open_options(config);
  options.max_samples = static_cast<std::uint64_t>(config.max_eval_samples);
  options.class_names = class_names;
  return engine::open_dataset(config.val_data.empty() ? config.data : config.val_data,
                              engine::Split::kValidation, options);
}

[[noreturn]] void fail_no_validation(const Config& config) {
  fail(Code::kUsage,
       "{} has no part to evaluate on; give --val-data, hold a part out with --val-split 0.1, or "
       "train with --no-validate",
       config.data);
}

}  // namespace

DataSets open_data(const Config& config) {
  DataSets data{open_whole(config), nullptr};
  if (config.val_split > 0) {
    // Also with --no-validate: the split decides what is learnt from.
    auto [train, validation] =
        hold_out(data.train, config.val_split, static_cast<std::uint64_t>(config.seed));
    data.train = train;
    if (config.validate) data.validation = validation;
    return data;
  }
  if (!config.validate) return data;
  if (config.val_data.empty() && !engine::has_validation(config.data)) fail_no_validation(config);
  data.validation = open_other(config, data.train->class_names());
  return data;
}

std::shared_ptr<const engine::Dataset> open_validation(const Config& config,
                                                       const DataFacts& facts) {
  if (config.val_split > 0 && config.val_data.empty()) {
    return hold_out(open_whole(config), config.val_split, static_cast<std::uint64_t>(config.seed))
        .validation;
  }
  if (config.val_data.empty() && !engine::has_validation(config.data)) {
    fail(Code::kUsage, "{} has no part to evaluate on; say what to evaluate on with --data",
         config.data);
  }
  auto validation = open_other(config, facts.class_names);
  if (validation->task() != facts.task) {
    fail(Code::kMismatch, "{} holds {}, the checkpoint was trained on {}",
         config.val_data.empty() ? config.data : config.val_data,
         validation->task() == engine::Task::kRegression ? "numbers" : "classes",
         facts.task == engine::Task::kRegression ? "numbers" : "classes");
  }
  return validation;
}

DataFacts facts_of(const Config& config, const DataSets& data) {
  DataFacts facts;
  facts.task = data.train->task();
  facts.class_names = data.train->class_names();
  facts.target_names = data.train->target_names();
  facts.channels = data.train->channels();
  const engine::ImageSize native = data.train->native_size();
  facts.image_size = config.image_size > 0 ? static_cast<int>(config.image_size)
                                           : std::min(native.height, native.width);
  facts.normalisation = data.train->normalisation();
  facts.train_samples = data.train->size();
  facts.train_digest = data.train->digest().hex();
  if (data.validation) {
    facts.val_samples = data.validation->size();
    facts.val_digest = data.validation->digest().hex();
  }
  return facts;
}

engine::View evaluation_view(const DataFacts& facts) {
  engine::View view;
  view.size = {facts.image_size, facts.image_size};
  view.channels = facts.channels;
  view.normalisation = facts.normalisation;
  return view;
}

engine::View training_view(const Config& config, const DataFacts& facts,
                           const engine::Dataset& dataset) {
  engine::View view = evaluation_view(facts);
  if (config.augment == "usual") view.augmentation = usual_augmentation(dataset, view.size);
  return view;
}

engine::NetworkOptions network_options(const Config& config, const DataFacts& facts) {
  engine::NetworkOptions options;
  options.arch = config.arch;
  options.outputs = facts.outputs();
  options.channels = facts.channels;
  options.image_size = facts.image_size;
  options.patch_size = config.patch_size;
  if (options.patch_size == 0) options.patch_size = usual_patch_size(facts.image_size);
  options.dropout = config.dropout;
  options.drop_path = config.drop_path;
  return options;
}

std::unique_ptr<const engine::Network> make_network(const Config& config, const DataFacts& facts) {
  return engine::build_network(network_options(config, facts));
}

engine::Objective make_objective(const Config& config, const DataFacts& facts) {
  engine::ObjectiveOptions options;
  options.task = facts.task;
  if (config.loss != "auto") options.loss = config.loss;
  options.label_smoothing = config.label_smoothing;
  return engine::Objective(options);
}

engine::OptimizerOptions optimizer_options(const Config& config) {
  engine::OptimizerOptions options;
  options.name = config.optimizer;
  options.lr = *config.lr;
  options.weight_decay = *config.weight_decay;
  options.momentum = config.momentum;
  options.nesterov = config.nesterov;
  options.beta1 = config.beta1;
  options.beta2 = config.beta2;
  options.eps = config.eps;
  options.no_decay_for_vectors = !config.decay_all;
  return options;
}

engine::Schedule make_schedule(const Config& config, std::uint64_t updates_per_epoch) {
  engine::ScheduleOptions options;
  options.name = config.schedule;
  options.base = *config.lr;
  options.final = config.min_lr;
  options.updates = updates_per_epoch * static_cast<std::uint64_t>(config.epochs);
  options.warmup_updates = static_cast<std::uint64_t>(
      config.warmup_epochs * static_cast<double>(updates_per_epoch) + 0.5);
  options.warmup_start = config.warmup_lr;
  options.power = config.poly_power;
  options.gamma = config.lr_decay;
  options.updates_per_epoch = updates_per_epoch;
  return engine::Schedule(options);
}

engine::Schedule make_decay_schedule(const Config& config, std::uint64_t updates_per_epoch) {
  engine::ScheduleOptions options;
  options.name = "cosine";
  options.base = *config.weight_decay;
  options.final = *config.weight_decay_end;
  options.updates = updates_per_epoch * static_cast<std::uint64_t>(config.epochs);
  return engine::Schedule(options);
}

}  // namespace reprise::experiment
