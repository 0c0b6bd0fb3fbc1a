#include "repro/fingerprint/environment.h"

#include "repro/fingerprint/secret_scan.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <map>
#include <optional>

namespace reprise::fingerprint {
namespace {

// A name that ends with '*' stands for all that begin with it.
constexpr std::array kCaptured = {
    // threads and math libraries
    "OMP_*", "GOMP_*", "KMP_*", "MKL_*", "OPENBLAS_*", "BLIS_*", "VECLIB_*", "NUMEXPR_*", "DNNL_*",
    "ONEDNN_*", "ATEN_*", "GLIBC_TUNABLES", "MALLOC_*", "LD_PRELOAD", "LD_LIBRARY_PATH",
    // frameworks
    "TORCH_*", "TORCHINDUCTOR_*", "PYTORCH_*", "TF_*", "XLA_*", "JAX_*", "TRITON_*", "CUBLAS_*",
    "CUDNN_*", "CUDA_*", "NVIDIA_*", "HIP_*", "ROCR_*", "HSA_*", "REPRISE_*",
    // communication
    "NCCL_*", "GLOO_*", "UCX_*", "FI_*", "UCC_*",
    // Python
    "PYTHONHASHSEED", "PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONOPTIMIZE",
    "VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "CONDA_PREFIX",
    // what else changes how text and time are read
    "LANG", "LC_*", "TZ", "PATH"};

constexpr std::array kSlurm = {"SLURM_JOB_ID",        "SLURM_JOB_NAME",      "SLURM_JOB_PARTITION",
                               "SLURM_JOB_NUM_NODES", "SLURM_JOB_NODELIST",  "SLURM_NTASKS",
                               "SLURM_PROCID",        "SLURM_LOCALID",       "SLURM_NODEID",
                               "SLURM_CPUS_PER_TASK", "SLURM_GPUS_ON_NODE",  "SLURM_ARRAY_JOB_ID",
                               "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT", "SLURM_CLUSTER_NAME"};
constexpr std::array kTorchrun = {"RANK",
                                  "LOCAL_RANK",
                                  "WORLD_SIZE",
                                  "LOCAL_WORLD_SIZE",
                                  "GROUP_RANK",
                                  "ROLE_RANK",
                                  "MASTER_ADDR",
                                  "MASTER_PORT",
                                  "TORCHELASTIC_RUN_ID",
                                  "TORCHELASTIC_RESTART_COUNT",
                                  "TORCHELASTIC_MAX_RESTARTS"};
constexpr std::array kKubernetes = {"KUBERNETES_SERVICE_HOST", "POD_NAME",
                                    "POD_NAMESPACE",           "NODE_NAME",
                                    "JOB_COMPLETION_INDEX",    "HOSTNAME"};
constexpr std::array kMpi = {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                             "OMPI_COMM_WORLD_LOCAL_RANK", "PMI_RANK", "PMI_SIZE"};

std::map<std::string, std::string> variables() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != text.npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

std::optional<std::int64_t> whole_number(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  const std::string_view view = text;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
  return error == std::errc() && end == view.data() + view.size() ? std::optional(value)
                                                                  : std::nullopt;
}

}  // namespace

bool is_captured_variable(std::string_view name) {
  return std::any_of(kCaptured.begin(), kCaptured.end(), [&](std::string_view pattern) {
    if (!pattern.ends_with('*')) return name == pattern;
    pattern.remove_suffix(1);
    return name.starts_with(pattern);
  });
}

Json describe_environment(std::span<const std::string> more) {
  Json out = Json::object();
  for (const auto& [name, value] : variables()) {
    if (is_captured_variable(name) || std::find(more.begin(), more.end(), name) != more.end()) {
      out[name] = redact_value(name, value);
    }
  }
  return out;
}

Json describe_job() {
  Json found = Json::object();
  const auto add = [&](const auto& names) {
    for (const char* name : names) {
      if (const char* value = std::getenv(name)) found[name] = redact_value(name, value);
    }
  };
  const auto job = [&](const char* scheduler, const char* rank, const char* size) {
    Json out = {{"scheduler", scheduler}};
    if (const auto value = whole_number(rank)) out["rank"] = *value;
    if (const auto value = whole_number(size)) out["world_size"] = *value;
    out["variables"] = found;
    return out;
  };
  const bool slurm = std::getenv("SLURM_JOB_ID") != nullptr;
  const bool torchrun = std::getenv("TORCHELASTIC_RUN_ID") != nullptr ||
                        (std::getenv("RANK") != nullptr && std::getenv("WORLD_SIZE") != nullptr);
  if (slurm) add(kSlurm);
  if (torchrun) add(kTorchrun);
  if (std::getenv("KUBERNETES_SERVICE_HOST") != nullptr) add(kKubernetes);
  // torchrun under Slurm starts the processes: it knows their ranks, Slurm those of its tasks.
  if (torchrun) return job(slurm ? "slurm+torchrun" : "torchrun", "RANK", "WORLD_SIZE");
  if (slurm) return job("slurm", "SLURM_PROCID", "SLURM_NTASKS");
  if (std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("PMI_SIZE") != nullptr) {
    add(kMpi);
    const bool open_mpi = std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr;
    return job("mpi", open_mpi ? "OMPI_COMM_WORLD_RANK" : "PMI_RANK",
               open_mpi ? "OMPI_COMM_WORLD_SIZE" : "PMI_SIZE");
  }
  if (!found.empty()) return job("kubernetes", "JOB_COMPLETION_INDEX", "");
  return Json::object();
}

}  // namespace reprise::fingerprint
