#include "engine/determinism/nccl.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <memory>

namespace reprise::engine {
namespace {

struct Close {
  void operator()(void* library) const { ::dlclose(library); }
};

// NCCL_VERSION of nccl.h: up to 2.8 a release had one digit for its middle number.
std::string spelled(int code) {
  const int major = code < 10000 ? 1000 : 10000;
  return fmt::format("{}.{}.{}", code / major, code % major / 100, code % 100);
}

}  // namespace

std::string nccl_version() {
  // RTLD_NOLOAD still counts as a use of the library, which is given back.
  const std::unique_ptr<void, Close> library(::dlopen("libnccl.so.2", RTLD_LAZY | RTLD_NOLOAD));
  if (!library) return "absent";
  // ncclResult_t ncclGetVersion(int*), whose success is 0: part of NCCL's stable interface.
  auto* get_version = reinterpret_cast<int (*)(int*)>(::dlsym(library.get(), "ncclGetVersion"));
  int code = 0;
  if (get_version == nullptr || get_version(&code) != 0) return "unknown";
  return spelled(code);
}

}  // namespace reprise::engine
