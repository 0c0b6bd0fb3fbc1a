// Which process of how many this is, as its launcher says.
#pragma once

#include <cstdint>
#include <string>

namespace reprise::engine {

struct ProcessPlace {
  int rank = 0;
  int world = 1;
  int local_rank = 0;                 // on this machine
  int local_world = 1;                // processes of this run on this machine
  std::string address = "127.0.0.1";  // where rank 0 meets the others
  std::uint16_t port = 0;
  std::string launcher;   // "torchrun", "Slurm", "MPI", "local", "environment" or empty: alone
  int listening_fd = -1;  // an already bound socket for rank 0 (local launches)
  bool store_is_served = false;  // torchrun's agent serves the store; no rank does
};

// Reads RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT (torchrun and
// others), else SLURM_PROCID and its kin inside a job step of srun, else OMPI_COMM_WORLD_RANK or
// PMI_RANK and theirs. Without MASTER_PORT the job's number with Slurm, its name with Open MPI,
// gives the port, so that jobs on a machine do not clash. The length of CUDA_VISIBLE_DEVICES plays
// no part. Errors: kUsage naming the variable that is missing, no number or out of range.
ProcessPlace place_from_environment();

// Threads a process should compute with when the user names no number: this machine's cores
// shared among its local processes, at least one.
unsigned default_threads(const ProcessPlace& place);

}  // namespace reprise::engine
