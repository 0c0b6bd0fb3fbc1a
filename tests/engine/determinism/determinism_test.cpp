#include "engine/determinism/determinism.h"
#include "ckpt/base/error.h"
#include "engine/device/device.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <new>
#include <string>
#include <vector>

namespace reprise::engine {
namespace {

Error error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  return {Code::kNo, "nothing was thrown"};
}

TEST(Determinism, AnOpWithoutADeterministicFormIsRefusedByName) {
  set_determinism({.deterministic = true}, c10::kCPU);
  set_ways_out({"turn it off here", "take less there"});
  // LibTorch's own guard, as its kernels call it.
  const Error error = error_of([] {
    translate_torch_errors([] { at::globalContext().alertNotDeterministic("put_ of a test"); });
  });
  EXPECT_EQ(error.code(), Code::kUnsupported);
  EXPECT_NE(std::string(error.what()).find("put_ of a test"), std::string::npos) << error.what();
  EXPECT_NE(std::string(error.what()).find("; turn it off here"), std::string::npos);
  set_determinism({.deterministic = false}, c10::kCPU);
  EXPECT_NO_THROW(at::globalContext().alertNotDeterministic("put_ of a test"));
}

TEST(Determinism, ACublasWorkspaceOfAnotherSizeIsRefused) {
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":2048:4", 1);
  const Error error =
      error_of([] { set_determinism({.deterministic = true}, c10::Device(c10::kCUDA, 0)); });
  ::unsetenv("CUBLAS_WORKSPACE_CONFIG");
  EXPECT_EQ(error.code(), Code::kUsage);
}

TEST(Determinism, OtherErrorsOfLibTorchKeepTheirFirstLine) {
  const Error shapes =
      error_of([] { translate_torch_errors([] { at::ones({2}) + at::ones({3}); }); });
  EXPECT_EQ(shapes.code(), Code::kInternal);
  EXPECT_EQ(std::string(shapes.what()).find('\n'), std::string::npos) << shapes.what();
  const Error memory = error_of([] { translate_torch_errors([] { throw std::bad_alloc(); }); });
  EXPECT_EQ(memory.code(), Code::kIo);
  set_ways_out({"turn it off here", "take less there"});
  for (const auto& work : std::vector<std::function<void()>>{
           [] { throw std::bad_alloc(); },
           [] { TORCH_CHECK(false, "DefaultCPUAllocator: not enough memory: you tried ..."); }}) {
    const Error error = error_of([&] { translate_torch_errors(work); });
    EXPECT_EQ(error.code(), Code::kIo);
    EXPECT_TRUE(std::string(error.what()).ends_with("; take less there")) << error.what();
  }
}

TEST(Device, WhatIsAskedForAndNotThereIsAnErrorWithTheNextAct) {
  EXPECT_TRUE(choose_device("cpu").is_cpu());
  EXPECT_EQ(error_of([] { choose_device("gpu"); }).code(), Code::kUsage);
  EXPECT_EQ(error_of([] { choose_device("cuda:x"); }).code(), Code::kUsage);
  if (std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "this machine has a GPU";
  EXPECT_TRUE(choose_device("auto").is_cpu());
  const Error error = error_of([] { choose_device("cuda:0"); });
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_NE(std::string(error.what()).find("--device cpu"), std::string::npos) << error.what();
}

}  // namespace
}  // namespace reprise::engine
