#include "eval/subject.h"

#include "ckpt/base/error.h"
#include "engine/data/open.h"
#include "train/experiment.h"
#include "train/learner.h"
#include "train/start.h"

#include <fmt/format.h>

#include <algorithm>

namespace reprise::eval {
namespace {

void apply(const EvalOptions& options, train::Config& config) {
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
  subject.facts = train::data_facts_from(stored.at("derived"));
  Json options = stored;
  options.erase("derived");
  train::OptionLayer layer = train::from_json(options, subject.loaded.path.string()).layer;
  // Where that run started from is no business of an evaluation.
  std::erase_if(layer.given,
                [](const auto& given) { return given.first->effect == train::Effect::kStart; });
  subject.config = train::effective_config({layer});
}

// Of another trainer's: the architecture is named or not, and the data say the rest.
void guess_config(Subject& subject, const EvalOptions& options) {
  const Checkpoint& checkpoint = subject.loaded.checkpoint;
  if (options.data.empty()) {
    fail(Code::kUsage, "the checkpoint does not say what it was evaluated on; name it with --data");
  }
  train::Config& config = subject.config;
  config.data = options.data;
  config.arch = checkpoint.arch;
  config.image_size = options.image_size;
  train::resolve(config);
  engine::OpenOptions open;
  open.generated_side = options.image_size;
  const auto dataset = engine::open_dataset(options.data, engine::Split::kValidation, open);
  subject.facts = train::facts_of(config, {dataset, nullptr});
}

}  // namespace

std::shared_ptr<const engine::Dataset> DataCache::open(const train::Config& config,
                                                       const train::DataFacts& facts) {
  const std::string key =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", config.data, config.val_data, config.val_split,
                  config.max_eval_samples, config.skip_bad, config.seed, config.max_samples,
                  config.image_size) +
      fmt::format("{}", fmt::join(facts.class_names, "\n"));
  if (!dataset_ || key != key_) {
    dataset_ = train::open_validation(config, facts);
    key_ = key;
  }
  return dataset_;
}

Subject open_subject(const std::string& path, const EvalOptions& options, DataCache& cache,
                     c10::Device device) {
  Subject subject;
  subject.loaded = store::open_checkpoint(path);
  const Checkpoint& checkpoint = subject.loaded.checkpoint;
  try {
    subject.trained_here = train::is_training_config(checkpoint.config);
    if (subject.trained_here) {
      read_own_config(subject);
    } else {
      guess_config(subject, options);
    }
    apply(options, subject.config);
    subject.dataset = cache.open(subject.config, subject.facts);
    subject.network = train::make_network(subject.config, subject.facts);
    subject.objective =
        std::make_unique<engine::Objective>(train::make_objective(subject.config, subject.facts));
    subject.weights = std::make_unique<engine::Weights>(subject.network->layout(), device);
    engine::load_state(train::network_state(checkpoint), subject.weights->named(), true,
                       subject.network->adapt());
    if (!checkpoint.ema.empty()) {
      subject.ema = std::make_unique<engine::Weights>(subject.network->layout(), device);
      engine::load_state(checkpoint.ema, subject.ema->named(), true);
    }
  } catch (const Error& error) {
    throw error.at(subject.loaded.path.string());
  }
  return subject;
}

}  // namespace reprise::eval
