#include "engine/determinism/determinism.h"

#include "ckpt/base/error.h"
#include "engine/determinism/nccl.h"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include <cstdlib>
#include <string_view>

namespace reprise::engine {
namespace {

constexpr const char* kWorkspace = "CUBLAS_WORKSPACE_CONFIG";

// cuBLAS reads it when its first handle is made; these two sizes make it deterministic.
void set_cublas_workspace() {
  const char* value = std::getenv(kWorkspace);
  if (value == nullptr) {
    ::setenv(kWorkspace, ":4096:8", 1);
    return;
  }
  const std::string_view found = value;
  if (found != ":4096:8" && found != ":16:8") {
    fail(Code::kUsage,
         "{}={} makes cuBLAS choose algorithms by itself; unset it, or set :4096:8 or :16:8",
         kWorkspace, found);
  }
}

}  // namespace

void set_determinism(const DeterminismOptions& options, c10::Device device) {
  at::Context& context = at::globalContext();
  const bool on = options.deterministic;
  if (on && device.is_cuda()) set_cublas_workspace();
  context.setDeterministicAlgorithms(on, /*warn_only=*/false);
  // Every buffer is written before it is read; filling it with NaN first only costs time.
  context.setDeterministicFillUninitializedMemory(false);
  context.setDeterministicCuDNN(on);
  context.setBenchmarkCuDNN(!on);
  if (on) {
    context.setAllowTF32CuDNN(false);
    context.setAllowTF32CuBLAS(false);
  }
}

Json determinism_state(c10::Device device) {
  const at::Context& context = at::globalContext();
  Json state = Json::object();
  state["deterministic_algorithms"] = context.deterministicAlgorithms();
  state["cpu_capability"] = at::get_cpu_capability();
  state["mkl"] = at::get_mkl_version();
  state["onednn"] = at::get_mkldnn_version();
  if (device.is_cuda()) {
    state["cudnn_deterministic"] = context.deterministicCuDNN();
    state["cudnn_benchmark"] = context.benchmarkCuDNN();
    state["tf32_cublas"] = context.allowTF32CuBLAS();
    state["tf32_cudnn"] = context.allowTF32CuDNN();
    const char* workspace = std::getenv(kWorkspace);
    state["cublas_workspace_config"] = workspace == nullptr ? "" : workspace;
  }
  return state;
}

Json software_state() {
  Json state = {{"libtorch", TORCH_VERSION}, {"libtorch_build", at::show_config()}};
  const at::Context& context = at::globalContext();
  state["libtorch_devices"] = {{"cuda", context.hasCUDA()}, {"mps", context.hasMPS()}};
  const bool cuda = context.hasCUDA();
  state["cuda"] = cuda ? Json(at::Context::versionCUDART()) : Json("absent");
  state["cudnn"] = cuda ? Json(at::Context::versionCuDNN()) : Json("absent");
  state["nccl"] = nccl_version();
  return state;
}

}  // namespace reprise::engine
