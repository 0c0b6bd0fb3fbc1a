// The real library from the wheel beside LibTorch, by PyTorch's own word of it.
#include "engine/determinism/nccl.h"
#include "engine/determinism/determinism.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>

namespace reprise::engine {
namespace {

std::string output_of(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::array<char, 4096> text{};
  const std::size_t length = pipe ? std::fread(text.data(), 1, text.size(), pipe.get()) : 0;
  return {text.data(), length};
}

TEST(Nccl, IsAbsentUntilItIsLoadedAndThenTheVersionThatPyTorchHas) {
  // A process that computes on the CPU has none, whatever is installed.
  EXPECT_EQ(nccl_version(), "absent");
  const Json software = software_state();
  EXPECT_EQ(software["nccl"], "absent");
  EXPECT_EQ(software["cuda"], "absent");
  EXPECT_EQ(software["cudnn"], "absent");

  const std::string found = output_of(
      REPRISE_PYTHON
      " -c 'import glob, sys, torch; print(\".\".join(map(str, torch.cuda.nccl.version())), "
      "*glob.glob(sys.prefix + \"/lib/python3*/site-packages/nvidia/nccl/lib/libnccl.so.2\"), "
      "end=\"\")' 2>/dev/null");
  const std::size_t blank = found.find(' ');
  if (blank == std::string::npos) GTEST_SKIP() << "no PyTorch with NCCL in " REPRISE_PYTHON;
  void* library = ::dlopen(found.substr(blank + 1).c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << ::dlerror();
  EXPECT_EQ(nccl_version(), found.substr(0, blank));
  EXPECT_EQ(software_state()["nccl"], found.substr(0, blank));
  ::dlclose(library);
}

}  // namespace
}  // namespace reprise::engine
