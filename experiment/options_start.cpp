#include "experiment/option_groups.h"

namespace reprise::experiment::options {

OptionGroup randomness() {
  return {
      "randomness",
      {
          {.key = "seed",
           .field = &C::seed,
           .help = "of all random numbers",
           .effect = E::kBits,
           .placeholder = "N",
           .high = 9e18},
          {.key = "gen-seed",
           .field = &C::gen_seed,
           .help = "draw a seed and print it",
           .effect = E::kStart},
          {.key = "deterministic",
           .field = &C::deterministic,
           .help =
               "only operations that give the same bits each time; one that cannot is an error"},
      }};
}

OptionGroup where() {
  return {"where",
          {
              {.key = "work-dir",
               .field = &C::work_dir,
               .help = "the run directory, exactly; an existing one is never overwritten",
               .effect = E::kStart,
               .placeholder = "DIR"},
              {.key = "name",
               .field = &C::name,
               .help = "run in runs/NAME/<date>-<time>; empty: the arch's name",
               .effect = E::kStart,
               .placeholder = "NAME"},
          }};
}

OptionGroup start_from() {
  return {"start from",
          {
              {.key = "resume-from",
               .field = &C::resume_from,
               .help = "go on with a run, bit for bit: a checkpoint, a run directory, RUN/<last>",
               .effect = E::kStart,
               .placeholder = "CKPT"},
              {.key = "load-from",
               .field = &C::load_from,
               .help = "start a new run from these weights: any readable checkpoint",
               .effect = E::kStart,
               .placeholder = "CKPT"},
              {.key = "take",
               .field = &C::take,
               .help = "which weights of --load-from",
               .effect = E::kStart,
               .placeholder = "PART",
               .choices = {"", "teacher", "student", "backbone", "head", "ema", "model"}},
              {.key = "strip-prefix",
               .field = &C::strip_prefix,
               .help = "remove this from the front of the names in --load-from",
               .effect = E::kStart,
               .placeholder = "PREFIX"},
              {.key = "strict",
               .field = &C::strict,
               .help = "names and shapes in --load-from must match the network",
               .effect = E::kStart},
              {.key = "allow-config-change",
               .field = &C::allow_config_change,
               .help = "resume although an option changes the bits",
               .effect = E::kStart},
          }};
}

}  // namespace reprise::experiment::options
