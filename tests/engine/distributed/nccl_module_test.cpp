// The module with NCCL is there, loads, and refuses what it cannot do.
#include "engine/distributed/nccl_module.h"
#include "ckpt/base/error.h"
#include "engine/determinism/nccl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/distributed/c10d/HashStore.hpp>

namespace reprise::engine {
namespace {

TEST(NcclModule, LoadsWithEverySymbolAndRefusesAGpuThatIsNotThere) {
  ASSERT_EQ(nccl_version(), "absent");  // programs start without it
  const NcclModule& module = nccl_module();
  EXPECT_EQ(&nccl_module(), &module);
  EXPECT_NE(nccl_version(), "absent");
  constexpr c10::DeviceIndex kBeyondAll = 100;
  const c10::Device none(c10::kCUDA, kBeyondAll);
  const auto refusal =
      testing::ThrowsMessage<std::exception>(testing::StartsWith("no GPU cuda:100: "));
  EXPECT_THAT([&] { module.address_of(none); }, refusal);
  const NcclPlace place{
      c10::make_intrusive<c10d::HashStore>(), 0, 2, none, std::chrono::seconds(1), [](int) {}};
  EXPECT_THAT([&] { module.join(place); }, refusal);
}

}  // namespace
}  // namespace reprise::engine
