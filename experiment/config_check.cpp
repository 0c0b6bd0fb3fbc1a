#include "ckpt/base/error.h"
#include "experiment/option_table.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <random>
#include <tuple>

namespace reprise::experiment {
namespace {

// Two options of which one source may give only one. A later source that gives either replaces
// what an earlier one said about both.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kEither = {{
    {"batch-size", "batch-size-per-gpu"},
    {"seed", "gen-seed"},
}};

// Whether a layer says `key`, and not by the value that means "not given": a printed
// configuration holds every key.
bool says(const OptionLayer& layer, std::string_view key) {
  for (const auto& [spec, value] : layer.given) {
    if (spec->key != key) continue;
    if (const auto* flag = std::get_if<bool>(&value)) return *flag;
    if (key == "batch-size-per-gpu") return value != OptionValue(std::int64_t{0});
    return true;
  }
  return false;
}

void apply(Config& config, const OptionLayer& layer) {
  for (const auto& [first, second] : kEither) {
    if (says(layer, first) && says(layer, second)) {
      fail(Code::kUsage, "{}: {} and {} contradict each other; give one of them", layer.origin,
           first, second);
    }
  }
  if (says(layer, "batch-size")) config.batch_size_per_gpu = 0;
  if (says(layer, "batch-size-per-gpu")) config.batch_size.reset();
  if (says(layer, "seed")) config.gen_seed = false;
  for (const auto& [spec, value] : layer.given) set_option(config, *spec, value, layer.origin);
}

// A seed that a person can read out on the phone and that fits everywhere: 31 bits.
std::int64_t draw_seed() {
  std::random_device device;
  return static_cast<std::int64_t>(device() & 0x7fffffffU);
}

// "in mode head: it is of mode dino", for an option that has no effect here; else nothing.
std::string meaningless_with(const Config& config, const OptionSpec& spec) {
  const auto is_one = [](const std::vector<std::string>& values, const std::string& value) {
    return values.empty() || std::ranges::find(values, value) != values.end();
  };
  if (!is_one(spec.modes, config.mode)) {
    return fmt::format("in mode {}: it is of mode {}", config.mode, fmt::join(spec.modes, ", "));
  }
  if (spec.of_option.empty()) return {};
  const OptionValue value = get_option(config, *find_option(spec.of_option));
  if (const auto* number = std::get_if<double>(&value)) {
    return *number > 0 ? "" : fmt::format("without {}", spec.of_option);
  }
  const std::string& now = std::get<std::string>(value);
  if (is_one(spec.of_values, now)) return {};
  return fmt::format("with {} {}: it is of {}", spec.of_option, now,
                     fmt::join(spec.of_values, ", "));
}

void resolve_dino(Config& config) {
  if (config.mode != "dino") return;
  // The paper's values, for its linear scaling rule.
  if (config.optimizer == "adamw") {
    if (!config.lr) {
      config.lr = 0.0005 * static_cast<double>(*config.batch_size * config.accumulate) / 256;
    }
    if (!config.weight_decay) {
      config.weight_decay = 0.04;
      if (!config.weight_decay_end) config.weight_decay_end = 0.4;
    }
  }
  if (config.local_crop_min > config.local_crop_max) {
    fail(Code::kUsage, "local-crop-min = {} is above local-crop-max = {}", config.local_crop_min,
         config.local_crop_max);
  }
}

void resolve_mode(Config& config) {
  // A head's architecture is its backbone's, which is not open yet.
  if (config.arch == "auto" && config.mode != "head") config.arch = "resnet18";
  for (const auto& [mode, option, value] : {std::tuple("head", "backbone", &config.backbone),
                                            std::tuple("distill", "teacher", &config.teacher)}) {
    if (config.mode == mode && value->empty() && config.resume_from.empty()) {
      fail(Code::kUsage, "mode {} needs another checkpoint: give --{} CKPT", mode, option);
    }
  }
  if (config.mode == "distill" && config.distill == "dense" && config.ema > 0) {
    fail(Code::kUsage,
         "ema and distill = dense do not go together: the projection is no part of "
         "the network; give one of them");
  }
  resolve_dino(config);
}

void resolve_optimizer(Config& config) {
  struct Usual {
    std::string_view optimizer;
    double lr, weight_decay;
  };
  constexpr Usual kUsual[] = {
      {"sgd", 0.1, 5e-4}, {"lars", 0.3, 5e-4}, {"adam", 1e-3, 0}, {"adamw", 1e-3, 0.05}};
  for (const Usual& usual : kUsual) {
    if (usual.optimizer != config.optimizer) continue;
    if (!config.lr) config.lr = usual.lr;
    if (!config.weight_decay) config.weight_decay = usual.weight_decay;
  }
  if (!config.weight_decay_end) config.weight_decay_end = config.weight_decay;
  if (config.min_lr > *config.lr) {
    fail(Code::kUsage, "min-lr = {} is above lr = {}; lower it", config.min_lr, *config.lr);
  }
  if (config.head_lr > 0 && *config.lr == 0) {
    fail(Code::kUsage, "head-lr = {} needs an lr above 0", config.head_lr);
  }
  if (config.head_lr > 0 && (config.mode == "dino" || config.mode == "head")) {
    fail(Code::kUsage, "mode {} has no head beside a backbone to learn at head-lr; set --lr",
         config.mode);
  }
  if (config.warmup_epochs > static_cast<double>(config.epochs)) {
    fail(Code::kUsage, "warmup-epochs = {} is more than epochs = {}; shorten the warm-up",
         config.warmup_epochs, config.epochs);
  }
  if (config.schedule == "one-cycle" && config.warmup_epochs > 0) {
    fail(Code::kUsage,
         "schedule one-cycle has its own rise: leave warmup-epochs at 0, or take another schedule");
  }
  if (config.nesterov && (config.optimizer != "sgd" || config.momentum == 0)) {
    fail(Code::kUsage, "nesterov needs optimizer sgd with a momentum");
  }
}

void check_saving(const Config& config) {
  if (config.save_best_only && config.save_last_only) {
    fail(Code::kUsage, "save-best-only and save-last-only contradict each other; give one of them");
  }
  if (config.save_best_only && !config.validate) {
    fail(Code::kUsage, "save-best-only needs evaluations; leave out no-validate");
  }
  if (config.keep_last > 0 && (config.save_best_only || config.save_last_only)) {
    fail(Code::kUsage, "keep-last contradicts {}; give one of them",
         config.save_best_only ? "save-best-only" : "save-last-only");
  }
  if (config.save_end != 0 && config.save_end < config.save_begin) {
    fail(Code::kUsage, "save-end = {} is before save-begin = {}", config.save_end,
         config.save_begin);
  }
  if (config.patience > 0 && !config.validate) {
    fail(Code::kUsage, "patience needs evaluations; leave out no-validate");
  }
  if (config.tolerance > 0 && config.patience == 0) {
    fail(Code::kUsage, "tolerance says what patience counts; give --patience N too");
  }
  const std::string& metric = config.major_metric;
  if (metric != "auto" && !metric.ends_with(":max") && !metric.ends_with(":min")) {
    fail(Code::kUsage, "major-metric = '{}': expected NAME:max or NAME:min, as val/acc1:max",
         printable(metric));
  }
}

void check_start(const Config& config) {
  if (!config.resume_from.empty() && !config.load_from.empty()) {
    fail(Code::kUsage,
         "resume-from goes on with a run, load-from starts a new one; give one of them");
  }
  if (config.load_from.empty()) {
    for (const auto& [value, name] :
         {std::pair(&config.take, "take"), std::pair(&config.strip_prefix, "strip-prefix")}) {
      if (!value->empty()) fail(Code::kUsage, "{} needs load-from", name);
    }
  }
  if (!config.work_dir.empty() && !config.name.empty()) {
    fail(Code::kUsage,
         "work-dir is the run directory itself, name one below runs/; give one of them");
  }
  if (config.name.find("..") != std::string::npos || config.name.starts_with('/')) {
    fail(Code::kUsage, "name = '{}' leads out of runs/; give --work-dir instead",
         printable(config.name));
  }
}

}  // namespace

void refuse_options_without_effect(const Config& config, const Config& plain) {
  for (const OptionSpec& spec : option_table()) {
    const std::string other = meaningless_with(config, spec);
    if (other.empty()) continue;
    const OptionValue value = get_option(config, spec);
    if (value == get_option(plain, spec)) continue;
    fail(Code::kUsage, "{} = {} means nothing {}; leave it out", spec.key,
         printable(to_toml(value)), other);
  }
}

void resolve(Config& config, int world) {
  if (config.gen_seed) {
    config.seed = draw_seed();
    config.gen_seed = false;  // the drawn seed reproduces the run, drawing again would not
  }
  if (config.batch_size_per_gpu > 0) {
    config.batch_size =
        config.batch_size_per_gpu * (world > 1 ? std::int64_t{world} : config.nproc);
    config.batch_size_per_gpu = 0;
  }
  if (!config.batch_size) config.batch_size = 64;
  if (!config.shards) config.shards = std::min<std::int64_t>(8, *config.batch_size);
  if (*config.shards > *config.batch_size) {
    fail(Code::kUsage, "batch-size = {} cannot be cut into shards = {}; take at most {} shards",
         *config.batch_size, *config.shards, *config.batch_size);
  }
  if (config.val_split > 0 && !config.val_data.empty()) {
    fail(Code::kUsage, "val-split and val-data contradict each other; give one of them");
  }
  resolve_mode(config);
  resolve_optimizer(config);
  check_saving(config);
  check_start(config);
}

Config effective_config(const std::vector<OptionLayer>& layers, int world) {
  Config config, stored;
  bool resumes = false;
  for (const OptionLayer& layer : layers) {
    apply(config, layer);
    if (layer.stored) apply(stored, layer);
    resumes = resumes || layer.stored;
  }
  // What it resumes says the mode and much else.
  if (resumes || config.resume_from.empty()) refuse_options_without_effect(config, stored);
  resolve(config, world);
  return config;
}

}  // namespace reprise::experiment
