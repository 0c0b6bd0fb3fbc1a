#include "train/option_table.h"

namespace reprise::train {
namespace {

std::vector<OptionSpec> make_table() {
  using C = Config;
  using E = Effect;
  std::vector<OptionSpec> table;
  std::string group;
  const auto add = [&](OptionSpec spec) {
    spec.group = group;
    table.push_back(std::move(spec));
  };

  group = "what to train";
  add({.key = "mode",
       .field = &C::mode,
       .help = "what is learnt from",
       .effect = E::kBits,
       .placeholder = "MODE",
       .choices = {"supervised"}});
  add({.key = "arch",
       .field = &C::arch,
       .help = "the network; --list arch says more",
       .effect = E::kBits,
       .placeholder = "ARCH",
       .choices = {"resnet18", "resnet50", "resnet18_cifar", "vit_tiny", "vit_small", "vit_base"}});
  add({.key = "image-size",
       .field = &C::image_size,
       .help = "side of the square image the network sees; 0: that of the data",
       .effect = E::kBits,
       .placeholder = "PIXELS",
       .high = 4096});
  add({.key = "patch-size",
       .field = &C::patch_size,
       .help = "side of a ViT's patches; 0: 16, or an eighth of an image up to 64",
       .effect = E::kBits,
       .placeholder = "PIXELS",
       .high = 512});
  add({.key = "dropout",
       .field = &C::dropout,
       .help = "share of activations dropped in a ViT",
       .effect = E::kBits,
       .placeholder = "P",
       .high = 0.99});
  add({.key = "drop-path",
       .field = &C::drop_path,
       .help = "share of residual branches dropped, growing with depth up to this",
       .effect = E::kBits,
       .placeholder = "P",
       .high = 0.99});
  add({.key = "data",
       .field = &C::data,
       .help = "a built-in set, a folder, a CSV index, IDX or CIFAR files; --list data says more",
       .effect = E::kBits,
       .placeholder = "DATA"});
  add({.key = "val-data",
       .field = &C::val_data,
       .help = "what to evaluate on; empty: the validation half of --data",
       .placeholder = "DATA"});
  add({.key = "val-split",
       .field = &C::val_split,
       .help = "hold this share of --data out for evaluation, drawn by the seed",
       .effect = E::kBits,
       .placeholder = "SHARE",
       .high = 0.9});
  add({.key = "max-samples",
       .field = &C::max_samples,
       .help = "train on so many samples, spread over the set; 0: all",
       .effect = E::kBits,
       .placeholder = "N"});
  add({.key = "augment",
       .field = &C::augment,
       .help = "random changes of training images",
       .effect = E::kBits,
       .placeholder = "KIND",
       .choices = {"usual", "none"}});
  add({.key = "skip-bad",
       .field = &C::skip_bad,
       .help = "leave out images that do not decode, naming and counting them; otherwise the "
               "first one stops the run",
       .effect = E::kBits});
  add({.key = "cache", .field = &C::cache, .help = "keep decoded images in memory"});
  add({.key = "workers",
       .field = &C::workers,
       .help = "threads that load images; 0: between updates",
       .placeholder = "N",
       .high = 256});

  group = "how long";
  add({.key = "epochs",
       .field = &C::epochs,
       .help = "passes over the data, which is also the length of the schedule",
       .effect = E::kHorizon,
       .placeholder = "N",
       .low = 1,
       .high = 1e9});
  add({.key = "max-updates",
       .field = &C::max_updates,
       .help = "stop after so many updates, leaving the schedule as it is; 0: at the last epoch",
       .placeholder = "N"});
  add({.key = "max-hours",
       .field = &C::max_hours,
       .help = "stop after so many hours with a resumable save, exit 75; 0: no limit",
       .placeholder = "HOURS"});
  add({.key = "batch-size",
       .field = &C::batch_size,
       .help = "samples of one forward pass over "
               "all processes (64)",
       .effect = E::kBits,
       .placeholder = "N",
       .low = 1,
       .high = 1e6});
  add({.key = "batch-size-per-gpu",
       .field = &C::batch_size_per_gpu,
       .help = "the same for one process, in place of --batch-size: times the number of processes",
       .placeholder = "N",
       .high = 1e6});
  add({.key = "shards",
       .field = &C::shards,
       .help = "parts of a batch, the unit of exact arithmetic; processes have to divide it (8, or "
               "the batch where that is smaller)",
       .effect = E::kBits,
       .placeholder = "N",
       .low = 1,
       .high = 4096});
  add({.key = "accumulate",
       .field = &C::accumulate,
       .help = "batches whose gradients make one update",
       .effect = E::kBits,
       .placeholder = "N",
       .low = 1,
       .high = 1e6});

  group = "optimizer";
  add({.key = "loss",
       .field = &C::loss,
       .help = "auto: cross-entropy for classes, mse for numbers",
       .effect = E::kBits,
       .placeholder = "LOSS",
       .choices = {"auto", "cross-entropy", "mse", "l1", "huber"}});
  add({.key = "label-smoothing",
       .field = &C::label_smoothing,
       .help = "share of the target spread over all classes",
       .effect = E::kBits,
       .placeholder = "SHARE",
       .high = 0.99});
  add({.key = "optimizer",
       .field = &C::optimizer,
       .help = "the update rule",
       .effect = E::kBits,
       .placeholder = "NAME",
       .choices = {"sgd", "adam", "adamw", "lars"}});
  add({.key = "lr",
       .field = &C::lr,
       .help = "learning rate at the top of the schedule (sgd 0.1, lars 0.3, others 0.001)",
       .effect = E::kBits,
       .placeholder = "X",
       .high = 1e6});
  add({.key = "weight-decay",
       .field = &C::weight_decay,
       .help = "pull towards zero (adamw 0.05, sgd and lars 0.0005, adam 0)",
       .effect = E::kBits,
       .placeholder = "X",
       .high = 1e6});
  add({.key = "decay-all",
       .field = &C::decay_all,
       .help = "decay biases, norms and other vectors too",
       .effect = E::kBits});
  add({.key = "momentum",
       .field = &C::momentum,
       .help = "of sgd and lars",
       .effect = E::kBits,
       .placeholder = "X",
       .high = 0.9999999});
  add({.key = "nesterov", .field = &C::nesterov, .help = "sgd looks ahead", .effect = E::kBits});
  add({.key = "beta1",
       .field = &C::beta1,
       .help = "of adam and adamw",
       .effect = E::kBits,
       .placeholder = "X",
       .high = 0.9999999});
  add({.key = "beta2",
       .field = &C::beta2,
       .help = "of adam and adamw",
       .effect = E::kBits,
       .placeholder = "X",
       .high = 0.9999999});
  add({.key = "eps",
       .field = &C::eps,
       .help = "of adam and adamw",
       .effect = E::kBits,
       .placeholder = "X",
       .high = 1});
  add({.key = "schedule",
       .field = &C::schedule,
       .help = "how the learning rate goes on; --list schedule says more",
       .effect = E::kBits,
       .placeholder = "NAME",
       .choices = {"cosine", "linear", "poly", "exponential", "one-cycle", "constant"}});
  add({.key = "warmup-epochs",
       .field = &C::warmup_epochs,
       .help = "epochs of linear rise at the start; fractions count",
       .effect = E::kBits,
       .placeholder = "X"});
  add({.key = "warmup-lr",
       .field = &C::warmup_lr,
       .help = "where the rise starts",
       .effect = E::kBits,
       .placeholder = "X",
       .high = 1e6});
  add({.key = "min-lr",
       .field = &C::min_lr,
       .help = "where the schedule ends",
       .effect = E::kBits,
       .placeholder = "X",
       .high = 1e6});
  add({.key = "poly-power",
       .field = &C::poly_power,
       .help = "of schedule poly",
       .effect = E::kBits,
       .placeholder = "X",
       .low = 0.01,
       .high = 100});
  add({.key = "lr-decay",
       .field = &C::lr_decay,
       .help = "factor an epoch of schedule exponential",
       .effect = E::kBits,
       .placeholder = "X",
       .low = 1e-6,
       .high = 1});
  add({.key = "clip-grad",
       .field = &C::clip_grad,
       .help = "scale the gradient down to this norm; 0: never",
       .effect = E::kBits,
       .placeholder = "NORM"});
  add({.key = "ema",
       .field = &C::ema,
       .help = "keep a moving average of the weights with this decay, stored beside them; 0: none",
       .effect = E::kBits,
       .placeholder = "DECAY",
       .high = 0.9999999});

  group = "randomness";
  add({.key = "seed",
       .field = &C::seed,
       .help = "of all random numbers",
       .effect = E::kBits,
       .placeholder = "N",
       .high = 9e18});
  add({.key = "gen-seed",
       .field = &C::gen_seed,
       .help = "draw a seed and print it",
       .effect = E::kStart});
  add({.key = "deterministic",
       .field = &C::deterministic,
       .help = "only operations that give the same bits each time; one that cannot is an error"});

  group = "where";
  add({.key = "work-dir",
       .field = &C::work_dir,
       .help = "the run directory, exactly; an existing one is never overwritten",
       .effect = E::kStart,
       .placeholder = "DIR"});
  add({.key = "name",
       .field = &C::name,
       .help = "run in runs/NAME/<date>-<time>; empty: the arch's name",
       .effect = E::kStart,
       .placeholder = "NAME"});

  group = "start from";
  add({.key = "resume-from",
       .field = &C::resume_from,
       .help = "go on with a run, bit for bit: a checkpoint, a run directory, RUN/<last>",
       .effect = E::kStart,
       .placeholder = "CKPT"});
  add({.key = "load-from",
       .field = &C::load_from,
       .help = "start a new run from these weights: any readable checkpoint",
       .effect = E::kStart,
       .placeholder = "CKPT"});
  add({.key = "take",
       .field = &C::take,
       .help = "which weights of --load-from",
       .effect = E::kStart,
       .placeholder = "PART",
       .choices = {"", "teacher", "student", "backbone", "head", "ema", "model"}});
  add({.key = "strip-prefix",
       .field = &C::strip_prefix,
       .help = "remove this from the front of the names in --load-from",
       .effect = E::kStart,
       .placeholder = "PREFIX"});
  add({.key = "strict",
       .field = &C::strict,
       .help = "names and shapes in --load-from must match the network",
       .effect = E::kStart});
  add({.key = "allow-config-change",
       .field = &C::allow_config_change,
       .help = "resume although an option changes the bits",
       .effect = E::kStart});

  group = "save";
  add({.key = "save-begin",
       .field = &C::save_begin,
       .help = "first epoch to save",
       .placeholder = "EPOCH",
       .low = 1,
       .high = 1e9});
  add({.key = "save-end",
       .field = &C::save_end,
       .help = "last epoch to save; 0: the last",
       .placeholder = "EPOCH",
       .high = 1e9});
  add({.key = "save-every",
       .field = &C::save_every,
       .help = "save each N epochs; the last one always",
       .placeholder = "N",
       .low = 1,
       .high = 1e9});
  add({.key = "save-every-updates",
       .field = &C::save_every_updates,
       .help = "save each N updates, too; 0: never",
       .placeholder = "N"});
  add({.key = "save-best-only",
       .field = &C::save_best_only,
       .help = "keep the best checkpoint and the one to resume from"});
  add({.key = "save-last-only", .field = &C::save_last_only, .help = "keep the last checkpoint"});
  add({.key = "keep-last",
       .field = &C::keep_last,
       .help = "keep so many, and the best; 0: all",
       .placeholder = "N",
       .high = 1e9});
  add({.key = "major-metric",
       .field = &C::major_metric,
       .help = "what best means, as val/acc1:max; auto: val/acc1:max or val/mae:min",
       .placeholder = "METRIC:max|min"});
  add({.key = "async-save",
       .field = &C::async_save,
       .help = "go on training while saving",
       .opposite = "sync-save"});

  group = "evaluate";
  add({.key = "validate", .field = &C::validate, .help = "evaluate while training"});
  add({.key = "val-begin",
       .field = &C::val_begin,
       .help = "first epoch to evaluate",
       .placeholder = "EPOCH",
       .low = 1,
       .high = 1e9});
  add({.key = "val-every",
       .field = &C::val_every,
       .help = "evaluate each N epochs",
       .placeholder = "N",
       .low = 1,
       .high = 1e9});
  add({.key = "val-every-updates",
       .field = &C::val_every_updates,
       .help = "evaluate each N updates, too; 0: never",
       .placeholder = "N"});
  add({.key = "max-eval-samples",
       .field = &C::max_eval_samples,
       .help = "evaluate on so many samples, spread over the set; 0: all",
       .placeholder = "N"});
  add({.key = "eval-batch-size",
       .field = &C::eval_batch_size,
       .help = "samples in flight while evaluating; no metric depends on it",
       .placeholder = "N",
       .low = 1,
       .high = 1e6});

  group = "run";
  add({.key = "device",
       .field = &C::device,
       .help = "auto, cpu, cuda, cuda:1; auto: a GPU if there is one",
       .effect = E::kBits,
       .placeholder = "DEVICE"});
  add({.key = "nproc",
       .field = &C::nproc,
       .help =
           "processes on this machine; no bit depends on it. Under torchrun, srun or mpirun the "
           "launcher says it",
       .effect = E::kStart,
       .placeholder = "N",
       .low = 1,
       .high = 1024});
  add({.key = "join-timeout",
       .field = &C::join_timeout,
       .help = "how long to wait for processes that have not come",
       .effect = E::kStart,
       .placeholder = "SECONDS",
       .low = 1,
       .high = 86400});
  add({.key = "amp",
       .field = &C::amp,
       .help = "element type of matrix products and convolutions; weights stay float32",
       .effect = E::kBits,
       .placeholder = "TYPE",
       .choices = {"none", "bf16"}});
  add({.key = "activation-checkpointing",
       .field = &C::activation_checkpointing,
       .help = "keep only the input of each block and compute it again on the way back: less "
               "memory, the same bits"});
  add({.key = "ledger",
       .field = &C::ledger,
       .help = "write ledger.jsonl: one digest line an update, chained"});
  add({.key = "ledger-tensors",
       .field = &C::ledger_tensors,
       .help = "a digest of each tensor every N updates in the ledger; 0: never",
       .placeholder = "N"});
  add({.key = "log-every",
       .field = &C::log_every,
       .help = "updates between log lines",
       .placeholder = "N",
       .low = 1,
       .high = 1e9});
  add({.key = "max-loss",
       .field = &C::max_loss,
       .help = "three updates in a row with a loss over this, or not a number, stop the run "
               "before the first of them, resumable; 0: no limit (not a number always stops)",
       .placeholder = "X"});
  add({.key = "patience",
       .field = &C::patience,
       .help = "stop when the major metric has not improved in so many evaluations; 0: never",
       .placeholder = "N",
       .high = 1e9});
  add({.key = "tolerance",
       .field = &C::tolerance,
       .help = "what counts as an improvement for --patience",
       .placeholder = "X"});
  return table;
}

}  // namespace

std::span<const OptionSpec> option_table() {
  static const std::vector<OptionSpec> table = make_table();
  return table;
}

const OptionSpec* find_option(std::string_view key) {
  for (const OptionSpec& spec : option_table()) {
    if (spec.key == key) return &spec;
  }
  return nullptr;
}

const std::vector<std::string>& option_keys() {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> out;
    for (const OptionSpec& spec : option_table()) out.push_back(spec.key);
    return out;
  }();
  return keys;
}

}  // namespace reprise::train
