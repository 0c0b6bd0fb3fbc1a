// What a training run is told: every option, typed, with its default.
#pragma once

#include "ckpt/base/json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace reprise::experiment {

// The effective configuration. A value. What each field means to a user stands beside its name
// in the option table (option_table.cpp); a field without an entry there does not exist for
// users. `optional` marks values that follow from others when nobody gives them: resolve()
// fills those in, so after it they all hold a value.
struct Config {
  std::string mode = "supervised";
  std::string arch = "auto";
  std::int64_t image_size = 0;
  std::int64_t patch_size = 0;
  std::int64_t multi_scale_min = 0;
  std::int64_t multi_scale_max = 0;
  double dropout = 0;
  double drop_path = 0;

  std::string data = "builtin:roads";
  std::string val_data;
  double val_split = 0;
  std::int64_t max_samples = 0;
  std::string augment = "usual";
  bool skip_bad = false;
  bool cache = false;
  std::int64_t prefetch = 2;
  std::int64_t workers = 2;

  std::int64_t epochs = 10;
  std::int64_t max_updates = 0;
  double max_hours = 0;
  std::optional<std::int64_t> batch_size;
  std::int64_t batch_size_per_gpu = 0;
  std::optional<std::int64_t> shards;
  std::int64_t accumulate = 1;

  std::string loss = "auto";
  double label_smoothing = 0;
  std::string optimizer = "adamw";
  std::optional<double> lr;
  double head_lr = 0;
  std::string lr_factors;
  std::optional<double> weight_decay;
  bool decay_all = false;
  double momentum = 0.9;
  bool nesterov = false;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  std::string schedule = "cosine";
  double warmup_epochs = 0;
  double warmup_lr = 0;
  double min_lr = 0;
  double poly_power = 0.9;
  double lr_decay = 0.95;
  double clip_grad = 0;
  double ema = 0;
  std::optional<double> weight_decay_end;

  std::string backbone;
  std::string backbone_take;
  std::string search_path;
  std::string teacher;
  std::string teacher_take;
  std::string teacher_arch;
  std::string distill = "logit";
  double distill_temp = 4;
  double distill_weight = 0.9;

  std::int64_t out_dim = 65536;
  std::int64_t head_hidden = 2048;
  std::int64_t head_bottleneck = 256;
  bool norm_last_layer = true;
  std::int64_t local_crops = 8;
  std::int64_t local_size = 0;
  double global_crop_min = 0.4;
  double local_crop_min = 0.05;
  double local_crop_max = 0.4;
  double student_temp = 0.1;
  double teacher_temp = 0.04;
  double warmup_teacher_temp = 0.04;
  double warmup_teacher_temp_epochs = 0;
  double momentum_teacher = 0.996;
  double center_momentum = 0.9;
  std::int64_t freeze_last_layer = 1;
  std::int64_t knn_neighbours = 20;
  std::int64_t knn_samples = 0;

  std::int64_t seed = 0;
  bool gen_seed = false;
  bool deterministic = true;

  std::string work_dir;
  std::string name;

  std::string resume_from;
  std::string load_from;
  std::string take;
  std::string strip_prefix;
  bool strict = true;
  bool allow_config_change = false;

  std::int64_t save_begin = 1;
  std::int64_t save_end = 0;
  std::int64_t save_every = 1;
  std::int64_t save_every_updates = 0;
  bool save_best_only = false;
  bool save_last_only = false;
  std::int64_t keep_last = 0;
  std::string major_metric = "auto";
  bool async_save = true;

  bool validate = true;
  std::int64_t val_begin = 1;
  std::int64_t val_every = 1;
  std::int64_t val_every_updates = 0;
  std::int64_t max_eval_samples = 0;
  std::int64_t eval_batch_size = 64;

  std::string device = "auto";
  std::int64_t nproc = 1;
  std::int64_t join_timeout = 120;
  bool requeue = false;
  std::string amp = "none";
  double loss_scale = 65536;
  bool activation_checkpointing = false;
  bool memory_report = false;
  bool selfcheck = false;
  std::int64_t selfcheck_updates = 3;
  bool ledger = true;
  std::int64_t ledger_tensors = 0;
  bool tensorboard = true;
  std::int64_t log_every = 10;
  double max_loss = 0;
  std::int64_t patience = 0;
  double tolerance = 0;

  bool operator==(const Config&) const = default;
};

// One value of an option, as files and command lines hold it.
using OptionValue = std::variant<bool, std::int64_t, double, std::string>;

struct OptionSpec;

// The options that one source gave: a file, the command line, a checkpoint.
struct OptionLayer {
  std::string origin;  // "base.toml", "the command line"; for messages
  std::vector<std::pair<const OptionSpec*, OptionValue>> given;
  bool stored = false;  // by a checkpoint: what is without effect in it is nobody's mistake now

  bool has(std::string_view key) const;
  void add(const OptionSpec& spec, const OptionValue& value);
};

// Layers applied over the defaults, later ones winning, then resolve()d for a run of `world`
// processes, or of --nproc where no launcher started more than one.
// Errors: kUsage naming the option, what it holds and what it may hold; kUsage for options that
// contradict each other, in one layer or in the result; kUsage for an option that is given without
// effect, unless only the checkpoint of --resume-from, not among the layers yet, can say so.
Config effective_config(const std::vector<OptionLayer>& layers, int world = 1);

// Reads a configuration file: TOML, one key an option ("batch-size = 64"), no tables.
// Errors: kNotFound; kUsage naming file and line, for an unknown key with the nearest one.
OptionLayer read_config_file(const std::string& path);

// Every option with its value as TOML, under its heading, which read_config_file() reads back to an
// equal configuration.
std::string to_toml(const Config& config);

// The configuration as a checkpoint stores it, {"batch-size": 64, ...}, and back.
// Errors (from_json): kCorrupt for a value of another type; keys that this version does not
// know are listed in `unknown`, which is for the caller to judge.
Json to_json(const Config& config);
struct StoredConfig {
  OptionLayer layer;
  std::vector<std::string> unknown;
};
StoredConfig from_json(const Json& json, std::string origin);

// Whether a checkpoint's `config` is one that train wrote.
bool is_training_config(const Json& config);

// The kind of device that a run of this stored configuration computed on, as
// engine::device_kind() calls it; empty where an older one says "auto" and no more.
std::string device_kind_of(const Json& config);

// One option that two configurations hold different values for.
struct ConfigDifference {
  std::string key;
  std::string before, after;
  bool changes_bits = false;
};
// What differs from `before` to `after`, in the order of the option table. Where a run starts
// and which directory it writes are left out: they are not part of what it computes.
std::vector<ConfigDifference> compare_configs(const Config& before, const Config& after);

}  // namespace reprise::experiment
