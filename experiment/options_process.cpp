#include "experiment/option_groups.h"

namespace reprise::experiment::options {

OptionGroup run() {
  return {
      "run",
      {
          // The kind of device that it comes to is compared by itself: several words mean one.
          {.key = "device",
           .field = &C::device,
           .help = "auto, cpu, cuda, cuda:1; auto: a GPU if there is one",
           .placeholder = "DEVICE"},
          {.key = "nproc",
           .field = &C::nproc,
           .help = "processes on this machine; no bit depends on it. Under torchrun, srun or "
                   "mpirun the "
                   "launcher says it",
           .effect = E::kStart,
           .placeholder = "N",
           .low = 1,
           .high = 1024},
          {.key = "join-timeout",
           .field = &C::join_timeout,
           .help = "how long to wait for processes that have not come",
           .effect = E::kStart,
           .placeholder = "SECONDS",
           .low = 1,
           .high = 86400},
          {.key = "requeue",
           .field = &C::requeue,
           .help = "in a Slurm job: after SIGUSR1 or --max-hours, put the job back into the queue",
           .effect = E::kStart},
          {.key = "amp",
           .field = &C::amp,
           .help = "element type of matrix products and convolutions; weights stay float32",
           .effect = E::kBits,
           .placeholder = "TYPE",
           .choices = {"none", "bf16", "fp16"}},
          {.key = "loss-scale",
           .field = &C::loss_scale,
           .help = "of amp fp16, at the start: a power of two; an overflow halves it, 2000 updates "
                   "without one double it",
           .effect = E::kBits,
           .placeholder = "X",
           .low = 1,
           .high = 0x1p100,
           .of_option = "amp",
           .of_values = {"fp16"}},
          {.key = "activation-checkpointing",
           .field = &C::activation_checkpointing,
           .help = "keep only the input of each block and compute it again on the way back: less "
                   "memory, the same bits"},
          {.key = "memory-report",
           .field = &C::memory_report,
           .help = "say at the end what the most memory was made of",
           .effect = E::kStart},
          {.key = "selfcheck",
           .field = &C::selfcheck,
           .help =
               "run a few updates twice and name the first op and layer whose bits differ; writes "
               "nothing",
           .effect = E::kStart},
          {.key = "selfcheck-updates",
           .field = &C::selfcheck_updates,
           .help = "how many --selfcheck runs twice",
           .effect = E::kStart,
           .placeholder = "N",
           .low = 1},
          {.key = "ledger",
           .field = &C::ledger,
           .help = "write ledger.jsonl: one digest line an update, chained"},
          {.key = "ledger-tensors",
           .field = &C::ledger_tensors,
           .help = "a digest of each tensor every N updates in the ledger; 0: never",
           .placeholder = "N"},
          {.key = "tensorboard",
           .field = &C::tensorboard,
           .help =
               "write event files for TensorBoard into tensorboard/: scalars, images, settings"},
          {.key = "log-every",
           .field = &C::log_every,
           .help = "updates between log lines",
           .placeholder = "N",
           .low = 1,
           .high = 1e9},
          {.key = "max-loss",
           .field = &C::max_loss,
           .help = "three updates in a row with a loss over this, or not a number, stop the run "
                   "before the first of them, resumable; 0: no limit (not a number always stops)",
           .placeholder = "X"},
          {.key = "patience",
           .field = &C::patience,
           .help = "stop when the major metric has not improved in so many evaluations; 0: never",
           .placeholder = "N",
           .high = 1e9},
          {.key = "tolerance",
           .field = &C::tolerance,
           .help = "what counts as an improvement for --patience",
           .placeholder = "X"},
      }};
}

}  // namespace reprise::experiment::options
