#include "train/dino_mode.h"

#include "ckpt/base/error.h"
#include "ckpt/store/reference.h"
#include "ckpt/store/take.h"
#include "engine/data/derived.h"
#include "engine/evaluate/features.h"
#include "engine/optim/ema.h"
#include "engine/shards/running_statistics.h"
#include "engine/tasks/supervised.h"
#include "engine/torch_bridge/tensor.h"
#include "experiment/measure.h"
#include "experiment/other_checkpoint.h"
#include "train/learner.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace reprise::train {
namespace {

constexpr std::string_view kBackbone = "backbone.";

engine::NetworkOptions backbone_options(const experiment::Config& config,
                                        const experiment::DataFacts& facts) {
  engine::NetworkOptions options = network_options(config, facts);
  options.outputs = 0;
  return options;
}

engine::DinoHeadOptions head_options(const experiment::Config& config) {
  return {config.out_dim, config.head_hidden, config.head_bottleneck, config.norm_last_layer};
}

engine::Schedule momentum_schedule(const experiment::Config& config,
                                   std::uint64_t updates_per_epoch) {
  engine::ScheduleOptions options;
  options.name = "cosine";
  options.base = config.momentum_teacher;
  options.final = 1;
  options.updates =
      std::max<std::uint64_t>(1, updates_per_epoch) * static_cast<std::uint64_t>(config.epochs);
  return engine::Schedule(options);
}

// The paper's 96 of 224 pixels, in whole patches for a ViT.
int local_side(const experiment::Config& config, const engine::NetworkOptions& backbone) {
  const bool vit = backbone.arch.starts_with("vit");
  const std::int64_t patch = vit ? backbone.patch_size : 1;
  std::int64_t side = config.local_size;
  if (side == 0) side = std::max(patch, (backbone.image_size * 3 / 7 + patch / 2) / patch * patch);
  if (side % patch != 0 || side > backbone.image_size) {
    fail(Code::kUsage,
         "local-size = {}: expected a multiple of the patch size {}, at most the image size {}",
         side, patch, backbone.image_size);
  }
  return static_cast<int>(side);
}

// The paper blurs images of 224 pixels with a sigma of up to 2: on one of 32 that would leave
// nothing to tell classes apart by.
constexpr int kTooSmallToBlur = 64;

// The augmentations of the paper: colour as in BYOL, blur and solarisation by crop.
engine::Augmentation crop(const experiment::Config& config, int side, double area_min,
                          double area_max, float blur, float solarise) {
  engine::Augmentation how;
  how.area_min = static_cast<float>(area_min);
  how.area_max = static_cast<float>(area_max);
  how.mirror = 0.5F;
  if (config.augment == "none") return how;
  how.jitter = 0.8F;
  how.brightness = 0.4F;
  how.contrast = 0.4F;
  how.saturation = 0.2F;
  how.hue = 0.1F;
  how.grey = 0.2F;
  how.blur = side > kTooSmallToBlur ? blur : 0;
  how.solarise = solarise;
  return how;
}

// What --load-from gives a student: a dino checkpoint's whole network, any other one's backbone.
StateDict starting_weights(const experiment::Config& config, const Checkpoint& checkpoint,
                           std::string_view head) {
  if (checkpoint.type == CheckpointType::kDino && config.take != "backbone") {
    return store::take_weights(checkpoint, config.take.empty() ? "teacher" : config.take,
                               config.strip_prefix);
  }
  StateDict out;
  for (const auto& [name, tensor] : experiment::backbone_state(checkpoint, config.take, head)) {
    out.append(std::string(kBackbone) + name, tensor);
  }
  return out;
}

}  // namespace

DinoMode::DinoMode(const experiment::Config& config, const experiment::DataFacts& facts)
    : config_(config),
      facts_(facts),
      network_(backbone_options(config, facts), head_options(config)),
      samples_per_update_(static_cast<std::uint64_t>(*config.batch_size * config.accumulate)),
      updates_per_epoch_(facts.train_samples / samples_per_update_),
      momentum_(momentum_schedule(config, updates_per_epoch_)) {
  if (config.local_crops > 0) local_side(config, network_.backbone().options());
}

std::vector<engine::View> DinoMode::views(const engine::Dataset& /*dataset*/) const {
  engine::View view = evaluation_view(facts_);
  std::vector<engine::View> views;
  view.augmentation = crop(config_, facts_.image_size, config_.global_crop_min, 1, 1, 0);
  views.push_back(view);
  view.augmentation = crop(config_, facts_.image_size, config_.global_crop_min, 1, 0.1F, 0.2F);
  views.push_back(view);
  if (config_.local_crops == 0) return views;
  const int side = local_side(config_, network_.backbone().options());
  view.size = {side, side};
  view.augmentation =
      crop(config_, facts_.image_size, config_.local_crop_min, config_.local_crop_max, 0.5F, 0);
  views.insert(views.end(), static_cast<std::size_t>(config_.local_crops), view);
  return views;
}

StepNeeds DinoMode::needs() const {
  return {.extra_elements = config_.out_dim, .second_moments = true};
}

LoadedWeights DinoMode::load(const engine::Weights& weights) {
  const std::string path = store::resolve(config_.load_from, store::DirectoryMeans::kLast).string();
  const store::LoadedCheckpoint loaded = store::open_checkpoint(path);
  try {
    const StateDict source =
        starting_weights(config_, loaded.checkpoint, network_.backbone().head_prefix());
    const bool whole = std::ranges::any_of(
        source, [](const auto& item) { return !item.first.starts_with(kBackbone); });
    return {loaded.checkpoint.uuid, loaded.path,
            load_as_told(config_, source, weights.named(whole ? "" : kBackbone), network_.adapt())};
  } catch (const Error& error) {
    throw error.at(loaded.path.string());
  }
}

void DinoMode::begin(const Learner& learner) {
  teacher_ = learner.weights.clone();
  centre_ = at::zeros({1, config_.out_dim}, learner.weights.flat().options());
}

double DinoMode::teacher_temperature(std::uint64_t update) const {
  const double warmup =
      config_.warmup_teacher_temp_epochs * static_cast<double>(updates_per_epoch_);
  const auto now = static_cast<double>(update);
  if (now >= warmup) return config_.teacher_temp;
  return config_.warmup_teacher_temp +
         (config_.teacher_temp - config_.warmup_teacher_temp) * now / warmup;
}

engine::ShardFunction DinoMode::shard_function(const Learner& learner, const engine::Batch& batch,
                                               c10::Device device, std::uint64_t update) {
  engine::DinoStep step;
  for (std::size_t i = 0; i < batch.views.size(); ++i) {
    step.crops.push_back(engine::images_of(batch, facts_.channels, device, i));
  }
  step.centre = centre_;
  step.student_temperature = config_.student_temp;
  step.teacher_temperature = teacher_temperature(update);
  return engine::dino(network_, learner.weights, *teacher_, std::move(step));
}

void DinoMode::adjust(engine::StepOptions& options, std::uint64_t update) const {
  const auto frozen = static_cast<std::uint64_t>(config_.freeze_last_layer);
  if (update < frozen * updates_per_epoch_) options.skipped = network_.last_layer();
}

void DinoMode::after_step(const Learner& learner, const engine::StepResult& result,
                          std::uint64_t update, engine::WorkerPool& pool) {
  const at::NoGradGuard no_gradients;
  engine::fold_running_statistics(*teacher_, result.second_moments);
  engine::update_parameter_average(*teacher_, learner.weights, momentum_.at(update), pool);
  const double rows = static_cast<double>(engine::kGlobalCrops * samples_per_update_);
  centre_ = centre_ * config_.center_momentum +
            (result.extra / rows).unsqueeze(0) * (1 - config_.center_momentum);
}

void DinoMode::describe(const Learner& learner, Checkpoint& checkpoint) const {
  checkpoint.type = CheckpointType::kDino;
  checkpoint.arch = network().options().arch;
  checkpoint.student = engine::state_of(learner.weights.named());
  checkpoint.teacher = engine::state_of(teacher_->named());
  checkpoint.loss_func.append("center", engine::view_of(centre_));
}

void DinoMode::restore(const Learner& learner, const Checkpoint& checkpoint) {
  const Tensor* centre = checkpoint.loss_func.find("center");
  if (checkpoint.type != CheckpointType::kDino || centre == nullptr) {
    fail(Code::kMismatch,
         "a {} checkpoint{} does not hold the state of a dino run; start from its weights with "
         "--load-from",
         to_string(checkpoint.type), centre == nullptr ? " without a center" : "");
  }
  engine::load_state(checkpoint.student, learner.weights.named(), true);
  engine::load_state(checkpoint.teacher, teacher_->named(), true);
  engine::copy_into(*centre, centre_);
}

void DinoMode::add_state(NamedState& state) const {
  for (const auto& [name, tensor] : engine::state_of(teacher_->named())) {
    state.emplace_back("teacher/" + name, tensor);
  }
  state.emplace_back("center", engine::view_of(centre_));
}

engine::Metrics DinoMode::measure(const Learner& /*learner*/, const EvaluationParts& parts) const {
  engine::EvaluateOptions evaluation;
  evaluation.batch_size = static_cast<std::uint64_t>(config_.eval_batch_size);
  evaluation.workers = static_cast<unsigned>(config_.workers);
  engine::NeighbourOptions neighbours;
  neighbours.neighbours = config_.knn_neighbours;
  const experiment::FeatureMeasurement measurement{network_.backbone(),
                                                   *parts.data.train,
                                                   *parts.data.validation,
                                                   facts_,
                                                   static_cast<std::uint64_t>(config_.knn_samples),
                                                   neighbours,
                                                   std::nullopt,
                                                   evaluation,
                                                   parts.pool,
                                                   parts.communicator,
                                                   parts.io};
  return measure_features(measurement, *teacher_);
}

std::vector<std::string> DinoMode::metric_names() const {
  return experiment::feature_metric_names(facts_, /*linear=*/false);
}

std::string DinoMode::usual_major_metric() const {
  return facts_.task == engine::Task::kClassification ? "val/knn/acc1:max" : "val/knn/mae:min";
}

}  // namespace reprise::train
