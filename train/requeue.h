// --requeue: back into Slurm's queue after a stop that is not the end.
#pragma once

namespace reprise::train {

// Before training starts. Errors: kUsage when this process is not part of a Slurm job.
void require_slurm_job();

// Asks Slurm to put the job that this process is part of back into the queue, which also ends what
// still runs of it. Call it when everything is saved. Errors: kIo with what `scontrol` says.
void requeue_this_job();

}  // namespace reprise::train
