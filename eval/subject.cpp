#include "eval/subject.h"

#include "ckpt/base/error.h"
#include "engine/data/open.h"
#include "experiment/other_checkpoint.h"
#include "experiment/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace reprise::eval {
namespace {

void apply(const EvalOptions& options, experiment::Config& config) {
  if (!options.data.empty()) {
    config.val_data = options.data;
    config.val_split = 0;
  }
  if (options.max_samples)
    config.max_eval_samples = static_cast<std::int64_t>(*options.max_samples);
  if (options.skip_bad) config.skip_bad = true;
  config.validate = true;
}

// Of a checkpoint of ours: everything is written down.
void read_own_config(Subject& subject) {
  const Json& stored = subject.loaded.checkpoint.config;
  subject.facts = experiment::data_facts_from(stored.at("derived"));
  Json options = stored;
  options.erase("derived");
  experiment::OptionLayer layer =
      experiment::from_json(options, subject.loaded.path.string()).layer;
  // Where that run started from is no business of an evaluation.
  std::erase_if(layer.given, [](const auto& given) {
    return given.first->effect == experiment::Effect::kStart;
  });
  subject.config = experiment::effective_config({layer});
}

// Of a ViT's weights; 0 where there are none.
std::int64_t patch_size_in(const Checkpoint& checkpoint) {
  for (const StateDict* state : {&checkpoint.model, &checkpoint.backbone}) {
    const Tensor* patches = state->find("patch_embed.proj.weight");
    if (patches != nullptr && patches->shape().size() == 4) {
      return std::clamp<std::int64_t>(patches->shape()[2], 1, 512);
    }
  }
  return 0;
}

// Of another trainer's: the architecture is named or not, and the data say the rest.
void guess_config(Subject& subject, const EvalOptions& options) {
  const Checkpoint& checkpoint = subject.loaded.checkpoint;
  if (options.data.empty()) {
    fail(Code::kUsage, "the checkpoint does not say what it was evaluated on; name it with --data");
  }
  experiment::Config& config = subject.config;
  config.data = options.data;
  config.arch = experiment::agreed_arch(checkpoint, options.arch, "arch");
  config.patch_size = patch_size_in(checkpoint);
  config.image_size = options.image_size;
  experiment::resolve(config);
  engine::OpenOptions open;
  open.generated_side = options.image_size;
  const auto dataset = engine::open_dataset(options.data, engine::Split::kValidation, open);
  subject.facts = experiment::facts_of(config, {dataset, nullptr});
}

// What is given and would be silently without effect.
void refuse_unused(const EvalOptions& options, const Subject& subject) {
  const int side = subject.facts.image_size;
  if (subject.trained_here && options.image_size != 0 && options.image_size != side) {
    fail(Code::kUsage, "--image-size {}: the checkpoint says {}; leave it out", options.image_size,
         side);
  }
  if (subject.trained_here && !options.arch.empty() && options.arch != subject.config.arch) {
    fail(Code::kUsage, "--arch {}: the checkpoint holds a {}; leave it out",
         printable(options.arch), printable(subject.config.arch));
  }
  if (options.neighbours && subject.protocol != Protocol::kNeighbours) {
    fail(Code::kUsage, "--neighbours vote with --protocol knn, not with {}",
         subject.protocol == Protocol::kLinear ? "linear" : "network");
  }
  if (options.bank_samples && subject.protocol == Protocol::kNetwork) {
    fail(Code::kUsage, "--bank-samples are for --protocol knn and linear, not for network");
  }
  if (!options.backbone.empty() && !experiment::is_head_alone(subject.loaded.checkpoint)) {
    fail(Code::kUsage, "--backbone: the checkpoint holds its own; leave it out");
  }
}

Protocol protocol_of(const EvalOptions& options, const Checkpoint& checkpoint) {
  if (options.protocol == "knn") return Protocol::kNeighbours;
  if (options.protocol == "linear") return Protocol::kLinear;
  const bool dino = checkpoint.type == CheckpointType::kDino;
  if (dino && options.protocol == "network") {
    fail(Code::kUsage,
         "a dino checkpoint has no head for the labels; use --protocol knn or linear, or train one "
         "with train --mode head --backbone");
  }
  return dino ? Protocol::kNeighbours : Protocol::kNetwork;
}

void load_weights(Subject& subject, const StateDict& state, c10::Device device) {
  auto weights = std::make_shared<engine::Weights>(subject.network->layout(), device);
  engine::load_state(state, weights->named(), true, subject.network->adapt());
  subject.weights = std::move(weights);
}

void load_average(Subject& subject, c10::Device device) {
  const Checkpoint& checkpoint = subject.loaded.checkpoint;
  if (checkpoint.ema.empty()) return;
  subject.ema = std::make_unique<engine::Weights>(subject.network->layout(), device);
  engine::load_state(checkpoint.ema, subject.ema->named(), true);
}

void make_objective(Subject& subject) {
  subject.objective = std::make_unique<engine::Objective>(
      experiment::make_objective(subject.config, subject.facts));
}

void open_network(Subject& subject, c10::Device device) {
  make_objective(subject);
  subject.network = experiment::make_network(subject.config, subject.facts);
  load_weights(subject, experiment::network_state(subject.loaded.checkpoint), device);
  load_average(subject, device);
}

experiment::FrozenNetwork frozen_backbone(const Subject& subject,
                                          const store::LoadedCheckpoint& loaded,
                                          const std::string& take, c10::Device device) {
  const std::string arch = experiment::agreed_arch(loaded.checkpoint, subject.config.arch, "arch");
  return experiment::frozen_network(loaded, arch, take, false, device);
}

store::LoadedCheckpoint backbone_of(const Subject& subject, const EvalOptions& options) {
  return experiment::backbone_of(subject.loaded, options.backbone, options.search_path);
}

void open_head(Subject& subject, const EvalOptions& options, c10::Device device) {
  make_objective(subject);
  experiment::FrozenNetwork joined =
      experiment::frozen_head(subject.loaded, backbone_of(subject, options), subject.config.arch,
                              subject.config.backbone_take, device);
  const std::int64_t outputs = joined.network->options().outputs;
  if (outputs != subject.facts.outputs()) {
    fail(Code::kMismatch, "has {} outputs, the data have {}", outputs, subject.facts.outputs());
  }
  subject.network = std::move(joined.network);
  subject.weights = std::move(joined.weights);
  load_average(subject, device);
}

void open_backbone_alone(Subject& subject, const EvalOptions& options, c10::Device device) {
  experiment::FrozenNetwork backbone = experiment::is_head_alone(subject.loaded.checkpoint)
                                           ? frozen_backbone(subject, backbone_of(subject, options),
                                                             subject.config.backbone_take, device)
                                           : frozen_backbone(subject, subject.loaded, {}, device);
  subject.network = std::move(backbone.network);
  subject.weights = std::move(backbone.weights);
}

}  // namespace

std::shared_ptr<const engine::Dataset> DataCache::open(const experiment::Config& config,
                                                       const experiment::DataFacts& facts) {
  const std::string key =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", config.data, config.val_data, config.val_split,
                  config.max_eval_samples, config.skip_bad, config.seed, config.max_samples,
                  config.image_size) +
      fmt::format("{}", fmt::join(facts.class_names, "\n"));
  if (!dataset_ || key != key_) {
    dataset_ = experiment::open_validation(config, facts);
    key_ = key;
  }
  return dataset_;
}

std::shared_ptr<const engine::Dataset> DataCache::open_training(experiment::Config config) {
  config.validate = false;
  const std::string key = fmt::format("{}\n{}\n{}\n{}\n{}", config.data, config.val_split,
                                      config.seed, config.max_samples, config.image_size);
  if (!training_ || key != training_key_) {
    training_ = experiment::open_data(config).train;
    training_key_ = key;
  }
  return training_;
}

Subject open_subject(const std::string& path, const EvalOptions& options, DataCache& cache,
                     c10::Device device) {
  Subject subject;
  subject.loaded = store::open_checkpoint(path);
  const Checkpoint& checkpoint = subject.loaded.checkpoint;
  try {
    subject.trained_here = experiment::is_training_config(checkpoint.config);
    if (subject.trained_here) {
      read_own_config(subject);
    } else {
      guess_config(subject, options);
    }
    subject.protocol = protocol_of(options, checkpoint);
    refuse_unused(options, subject);
    apply(options, subject.config);
    if (subject.protocol != Protocol::kNetwork) {
      if (!options.data.empty()) subject.config.data = options.data;
      subject.bank = cache.open_training(subject.config);
      if (!options.data.empty()) subject.facts.class_names = subject.bank->class_names();
    }
    subject.dataset = cache.open(subject.config, subject.facts);
    if (subject.protocol != Protocol::kNetwork) {
      open_backbone_alone(subject, options, device);
    } else if (experiment::is_head_alone(checkpoint)) {
      open_head(subject, options, device);
    } else {
      open_network(subject, device);
    }
  } catch (const Error& error) {
    throw error.at(subject.loaded.path.string());
  }
  return subject;
}

}  // namespace reprise::eval
