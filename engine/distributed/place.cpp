#include "engine/distributed/place.h"

#include "ckpt/base/bytes.h"
#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/sha256.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string_view>

namespace reprise::engine {
namespace {

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

int number(const char* name, const std::string& text, int least, int most) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value < least || value > most) {
    fail(Code::kUsage, "{}={}: expected a number from {} to {}; unset it to run one process", name,
         printable(text), least, most);
  }
  return value;
}

constexpr int kMostProcesses = 1 << 20;

int required(const char* name, int least, int most) {
  const auto text = variable(name);
  if (!text) {
    fail(Code::kUsage,
         "{} is not set, but other variables of a launcher are; set it or unset those too, or "
         "start with torchrun, srun, mpirun or --nproc",
         name);
  }
  return number(name, *text, least, most);
}

int optional_number(const char* name, int otherwise, int most = kMostProcesses) {
  const auto text = variable(name);
  return text ? number(name, *text, 0, most) : otherwise;
}

struct Names {
  const char* launcher;
  const char* rank;
  const char* world;
  const char* local_rank;
  const char* local_world;
};

// First of "node[3-7],other": where rank 0 of a Slurm job step runs.
std::string first_node(const std::string& list) {
  const std::size_t bracket = list.find('[');
  const std::size_t comma = list.find(',');
  if (bracket == std::string::npos || comma < bracket) return list.substr(0, comma);
  const std::size_t end = list.find_first_of(",-]", bracket);
  return list.substr(0, bracket) + list.substr(bracket + 1, end - bracket - 1);
}

// The script of a job and an interactive shell have a rank of their own beside those of srun, whose
// steps are counted from 0; theirs have the highest numbers, or none.
bool in_slurm_step() {
  constexpr std::uint64_t kSpecialSteps = 0xfffffff0;
  const auto text = variable("SLURM_STEP_ID");
  std::uint64_t step = kSpecialSteps;
  if (text) std::from_chars(text->data(), text->data() + text->size(), step);
  return step < kSpecialSteps;
}

// Apart from the ports of other jobs on the same machine, as far as a job's number says.
std::uint16_t port_of_job(std::uint64_t job) {
  constexpr std::uint64_t kFirstPort = 20000;
  constexpr std::uint64_t kPorts = 10000;
  return static_cast<std::uint16_t>(kFirstPort + job % kPorts);
}

}  // namespace

ProcessPlace place_from_environment() {
  constexpr Names kLaunchers[] = {
      {"environment", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
      {"Slurm", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE"},
      {"MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
       "OMPI_COMM_WORLD_LOCAL_SIZE"},
      {"MPI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
  };
  ProcessPlace place;
  for (const Names& names : kLaunchers) {
    if (!variable(names.rank)) continue;
    if (names.launcher == std::string_view("Slurm") && !in_slurm_step()) continue;
    place.launcher = names.launcher;
    place.world = required(names.world, 1, kMostProcesses);
    place.rank = required(names.rank, 0, place.world - 1);
    place.local_rank = optional_number(names.local_rank, 0);
    place.local_world = std::max(1, optional_number(names.local_world, 1));
    break;
  }
  if (place.launcher.empty()) {
    // A rank that nobody named would train alone, as would all others.
    if (optional_number("WORLD_SIZE", 1) > 1) required("RANK", 0, kMostProcesses);
    return place;
  }
  if (variable("TORCHELASTIC_RUN_ID")) place.launcher = "torchrun";
  place.store_is_served = variable("TORCHELASTIC_USE_AGENT_STORE") == "True";
  if (const auto fd = variable("REPRISE_LISTENING_FD")) {
    place.launcher = "local";
    place.listening_fd = number("REPRISE_LISTENING_FD", *fd, -1, kMostProcesses);
  }
  if (const auto address = variable("MASTER_ADDR")) {
    place.address = *address;
  } else if (const auto nodes = variable("SLURM_STEP_NODELIST");
             nodes && place.launcher == "Slurm") {
    place.address = first_node(*nodes);
  }
  if (const auto port = variable("MASTER_PORT")) {
    place.port = static_cast<std::uint16_t>(number("MASTER_PORT", *port, 1, 65535));
  } else if (place.launcher == "Slurm") {
    // Steps of one job that run side by side must not meet each other, either.
    constexpr std::uint64_t kBetweenSteps = 1000;
    constexpr int kMost = std::numeric_limits<int>::max();
    const auto job = static_cast<std::uint64_t>(optional_number("SLURM_JOB_ID", 0, kMost));
    const auto step = static_cast<std::uint64_t>(optional_number("SLURM_STEP_ID", 0, kMost));
    place.port = port_of_job(job + step * kBetweenSteps);
  } else if (const auto job = variable("PMIX_NAMESPACE"); job && place.launcher == "MPI") {
    place.port = port_of_job(load_little<std::uint64_t>(sha256(as_bytes(*job)).bytes.data()));
  } else if (place.world > 1) {
    required("MASTER_PORT", 1, 65535);
  }
  // Other kinds of MPI do not always say how many processes are here.
  if (variable("OMPI_COMM_WORLD_LOCAL_SIZE") && place.launcher == "MPI" &&
      place.local_world < place.world && !variable("MASTER_ADDR")) {
    fail(Code::kUsage,
         "mpirun started {} of {} processes on this machine and does not say where the first one "
         "runs; name its host: mpirun -x MASTER_ADDR=HOST ...",
         place.local_world, place.world);
  }
  return place;
}

unsigned default_threads(const ProcessPlace& place) {
  return std::max(1U, available_cores() / static_cast<unsigned>(std::max(1, place.local_world)));
}

}  // namespace reprise::engine
