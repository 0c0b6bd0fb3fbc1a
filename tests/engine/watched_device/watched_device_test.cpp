// The device itself: it is as strict as it says.
#include "tests/engine/watched_device/watched_device.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <thread>

namespace reprise::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

at::TensorOptions there() { return at::TensorOptions(at::kFloat).device(watched_device()); }

c10::Stream new_stream() {
  return c10::impl::VirtualGuardImpl(watched_device().type())
      .getStreamFromGlobalPool(watched_device());
}

TEST(WatchedDevice, ComputesAsTheCpuDoes) {
  const at::Tensor a = at::arange(12, at::kFloat).view({3, 4});
  const at::Tensor b = at::linspace(-1, 1, 12).view({4, 3});
  const auto work = [](const at::Tensor& x, const at::Tensor& y) {
    at::Tensor z = at::softmax(x.matmul(y), 1).t().contiguous();
    z.mul_(3).add_(x.narrow(1, 0, 3));
    return at::cat({z, z.slice(0, 0, 2)});
  };
  const at::Tensor expected = work(a, b);
  const at::Tensor found = work(a.to(watched_device()), b.to(watched_device()));
  EXPECT_TRUE(found.device() == watched_device());
  EXPECT_TRUE(at::equal(found.cpu(), expected));
  EXPECT_THAT(take_findings(), IsEmpty());
}

TEST(WatchedDeviceDeathTest, ItsMemoryIsNotTheHosts) {
  const at::Tensor x = at::ones({4}, there());
  EXPECT_DEATH(static_cast<void>(*static_cast<const volatile float*>(x.const_data_ptr())), "");
}

TEST(WatchedDevice, FindsWorkWithoutOrder) {
  const at::Tensor x = at::zeros({1000}, there());
  {
    const c10::StreamGuard beside(new_stream());
    x.narrow(0, 500, 500).add_(1);
  }
  EXPECT_THAT(take_findings(), ElementsAre(HasSubstr("touch the same 2000 bytes in no order")));
}

TEST(WatchedDevice, AnEventOrdersWork) {
  const at::Tensor x = at::zeros({1000}, there());
  const c10::Stream side = new_stream();
  c10::Event zeroed(watched_device().type());
  zeroed.record(c10::impl::VirtualGuardImpl(watched_device().type()).getStream(watched_device()));
  zeroed.block(side);
  {
    const c10::StreamGuard beside(side);
    x.narrow(0, 0, 500).add_(1);
  }
  // The halves have nothing to do with each other.
  x.narrow(0, 500, 500).add_(1);
  EXPECT_THAT(take_findings(), IsEmpty());
  EXPECT_EQ(x.narrow(0, 500, 500).sum().item<float>(), 500);
}

TEST(WatchedDevice, FindsHostMemoryThatChangesUnderACopy) {
  const at::Tensor host = at::ones({100}, at::TensorOptions(at::kFloat).pinned_memory(true));
  ASSERT_TRUE(is_pinned(host.const_data_ptr()));
  const at::Tensor x = host.to(watched_device(), /*non_blocking=*/true);
  host.fill_(2);
  EXPECT_EQ(x.sum().item<float>(), 100);  // waits
  EXPECT_THAT(take_findings(), ElementsAre(HasSubstr("400 bytes of the host changed")));
  const at::Tensor y = host.to(watched_device(), /*non_blocking=*/true);
  EXPECT_EQ(y.sum().item<float>(), 200);
  host.fill_(3);
  EXPECT_THAT(take_findings(), IsEmpty());
}

TEST(WatchedDevice, CountsWhatTheHostWaitsFor) {
  const at::Tensor pinned = at::ones({4}, at::TensorOptions(at::kFloat).pinned_memory(true));
  take_host_waits();
  const at::Tensor x = pinned.to(watched_device(), /*non_blocking=*/true);
  const at::Tensor y = x + 1;
  EXPECT_THAT(take_host_waits(), IsEmpty());
  x.copy_(at::ones({4}));
  EXPECT_EQ(y.cpu().sum().item<float>(), 8);
  EXPECT_EQ(y[0].item<float>(), 2);
  c10::impl::VirtualGuardImpl(watched_device().type()).synchronizeStream(new_stream());
  EXPECT_THAT(
      take_host_waits(),
      ElementsAre(Pair("a copy from memory that is not pinned", 1), Pair("a copy to the host", 1),
                  Pair("aten::_local_scalar_dense", 1), Pair("the end of a stream", 1)));
  EXPECT_THAT(take_findings(), IsEmpty());
}

// Such memory goes to somebody else when the device has it, not before.
TEST(WatchedDevice, PinnedMemoryMayBeGivenBackBeforeItIsCopied) {
  at::Tensor host = at::ones({100}, at::TensorOptions(at::kFloat).pinned_memory(true));
  const at::Tensor x = host.to(watched_device(), /*non_blocking=*/true);
  host.reset();
  EXPECT_EQ(x.sum().item<float>(), 100);
  EXPECT_THAT(take_findings(), IsEmpty());
}

TEST(WatchedDevice, GoesBackInThreadsOfLibTorch) {
  at::Tensor x = at::ones({4}, there());
  x.set_requires_grad(true);
  const auto here = std::this_thread::get_id();
  bool elsewhere = false;
  x.register_hook([&](const at::Tensor& gradient) {
    elsewhere = std::this_thread::get_id() != here;
    return gradient;
  });
  const auto gradients = torch::autograd::grad({(x * x).sum()}, {x});
  EXPECT_TRUE(elsewhere);
  EXPECT_TRUE(at::equal(gradients[0].cpu(), at::full({4}, 2.0F)));
}

}  // namespace
}  // namespace reprise::engine
