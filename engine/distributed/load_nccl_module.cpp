#include "engine/distributed/nccl_module.h"

#include "ckpt/base/error.h"

#include <dlfcn.h>

#include <filesystem>

namespace reprise::engine {
namespace {

namespace fs = std::filesystem;

#ifdef REPRISE_NCCL_MODULE
const NcclModule& load() {
  // Programs and module are installed together: by the place of one the other is found, and no
  // search path has a say in what is loaded.
  const fs::path path =
      (fs::read_symlink("/proc/self/exe").parent_path() / REPRISE_NCCL_MODULE).lexically_normal();
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fail(Code::kUnsupported, "the module for NCCL cannot be loaded: {}; install Reprise again",
         printable(::dlerror()));
  }
  using Function = const NcclModule* (*)();
  const auto module = reinterpret_cast<Function>(::dlsym(library, kNcclModuleFunction));
  if (module == nullptr) {
    fail(Code::kUnsupported, "{}: is not the module for NCCL; install Reprise again",
         path.string());
  }
  return *module();
}
#else
const NcclModule& load() {
  fail(Code::kUnsupported,
       "this build has no NCCL: LibTorch's CUDA library or NCCL's headers were not there");
}
#endif

}  // namespace

const NcclModule& nccl_module() {
  static const NcclModule& kModule = load();
  return kModule;
}

}  // namespace reprise::engine
