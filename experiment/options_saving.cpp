#include "experiment/option_groups.h"

namespace reprise::experiment::options {
namespace {

using C = Config;

}  // namespace

OptionGroup save() {
  return {"save",
          {
              {.key = "save-begin",
               .field = &C::save_begin,
               .help = "first epoch to save",
               .placeholder = "EPOCH",
               .low = 1,
               .high = 1e9},
              {.key = "save-end",
               .field = &C::save_end,
               .help = "last epoch to save; 0: the last",
               .placeholder = "EPOCH",
               .high = 1e9},
              {.key = "save-every",
               .field = &C::save_every,
               .help = "save each N epochs; the last one always",
               .placeholder = "N",
               .low = 1,
               .high = 1e9},
              {.key = "save-every-updates",
               .field = &C::save_every_updates,
               .help = "save each N updates, too; 0: never",
               .placeholder = "N"},
              {.key = "save-best-only",
               .field = &C::save_best_only,
               .help = "keep the best checkpoint and the one to resume from"},
              {.key = "save-last-only",
               .field = &C::save_last_only,
               .help = "keep the last checkpoint"},
              {.key = "keep-last",
               .field = &C::keep_last,
               .help = "keep so many, and the best; 0: all",
               .placeholder = "N",
               .high = 1e9},
              {.key = "major-metric",
               .field = &C::major_metric,
               .help = "what best means, as val/acc1:max; auto: val/acc1:max or val/mae:min",
               .placeholder = "METRIC:max|min"},
              {.key = "async-save",
               .field = &C::async_save,
               .help = "go on training while saving",
               .opposite = "sync-save"},
          }};
}

OptionGroup evaluate() {
  return {"evaluate",
          {
              {.key = "validate", .field = &C::validate, .help = "evaluate while training"},
              {.key = "val-begin",
               .field = &C::val_begin,
               .help = "first epoch to evaluate",
               .placeholder = "EPOCH",
               .low = 1,
               .high = 1e9},
              {.key = "val-every",
               .field = &C::val_every,
               .help = "evaluate each N epochs",
               .placeholder = "N",
               .low = 1,
               .high = 1e9},
              {.key = "val-every-updates",
               .field = &C::val_every_updates,
               .help = "evaluate each N updates, too; 0: never",
               .placeholder = "N"},
              {.key = "max-eval-samples",
               .field = &C::max_eval_samples,
               .help = "evaluate on so many samples, spread over the set; 0: all",
               .placeholder = "N"},
              {.key = "eval-batch-size",
               .field = &C::eval_batch_size,
               .help = "samples in flight while evaluating; no metric depends on it",
               .placeholder = "N",
               .low = 1,
               .high = 1e6},
          }};
}

}  // namespace reprise::experiment::options
