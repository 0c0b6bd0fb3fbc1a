#include "train/requeue.h"

#include "ckpt/base/error.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <string>

namespace reprise::train {
namespace {

std::string job_id() {
  const char* id = std::getenv("SLURM_JOB_ID");
  return id == nullptr ? "" : id;
}

}  // namespace

void require_slurm_job() {
  if (!job_id().empty()) return;
  fail(Code::kUsage, "--requeue: SLURM_JOB_ID is not set, so this is no Slurm job; leave it out");
}

void requeue_this_job() {
  std::string id = job_id();
  char program[] = "scontrol";
  char command[] = "requeue";
  char* const arguments[] = {program, command, id.data(), nullptr};
  // Slurm ends what runs of the job as soon as it has the request: scontrol too, before it can say
  // that all went well.
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setsigmask(&attributes, &blocked);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, program, nullptr, &attributes, arguments, environ);
  ::posix_spawnattr_destroy(&attributes);
  int status = 0;
  if (error == 0) ::waitpid(pid, &status, 0);
  if (error == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  fail(Code::kIo,
       "scontrol requeue {}: {}; the state is saved, so the job can be submitted again by hand", id,
       error != 0 ? std::string(std::strerror(error)) : fmt::format("status {}", status));
}

}  // namespace reprise::train
