#include "experiment/option_groups.h"

namespace reprise::experiment::options {

OptionGroup how_long() {
  return {
      "how long",
      {
          {.key = "epochs",
           .field = &C::epochs,
           .help = "passes over the data, which is also the length of the schedule",
           .effect = E::kHorizon,
           .placeholder = "N",
           .low = 1,
           .high = 1e9},
          {.key = "max-updates",
           .field = &C::max_updates,
           .help =
               "stop after so many updates, leaving the schedule as it is; 0: at the last epoch",
           .placeholder = "N"},
          {.key = "max-hours",
           .field = &C::max_hours,
           .help = "stop after so many hours with a resumable save, exit 75; 0: no limit",
           .placeholder = "HOURS"},
          {.key = "batch-size",
           .field = &C::batch_size,
           .help = "samples of one forward pass over all processes",
           .effect = E::kBits,
           .placeholder = "N",
           .low = 1,
           .high = 1e6,
           .follows = "64"},
          {.key = "batch-size-per-gpu",
           .field = &C::batch_size_per_gpu,
           .help =
               "the same for one process, in place of --batch-size: times the number of processes; "
               "0: by --batch-size",
           .placeholder = "N",
           .high = 1e6},
          {.key = "shards",
           .field = &C::shards,
           .help = "parts of a batch, the unit of exact arithmetic; processes have to divide it",
           .effect = E::kBits,
           .placeholder = "N",
           .low = 1,
           .high = 4096,
           .follows = "8, or the batch where that is smaller"},
          {.key = "accumulate",
           .field = &C::accumulate,
           .help = "batches whose gradients make one update",
           .effect = E::kBits,
           .placeholder = "N",
           .low = 1,
           .high = 1e6},
      }};
}

}  // namespace reprise::experiment::options
