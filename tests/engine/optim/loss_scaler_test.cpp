// The rule of the real GradScaler, and its state in both directions.
#include "engine/optim/loss_scaler.h"

#include "ckpt/base/error.h"
#include "engine/torch_bridge/tensor.h"
#include "tests/engine/python_peer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace reprise::engine {
namespace {

bool overflows(int update) { return update < 3 || update % 4500 == 4321; }

TEST(LossScaler, FollowsPyTorchsGradScalerFor9000Updates) {
  const PeerFolder folder;
  folder.run("optim/reference_scaler.py", "");
  const Document document = folder.open("scaler.pth");
  const DictNode& dict = document.root.as_dict();
  const at::Tensor scales = copy_of(dict.find("scales")->as_tensor().tensor);
  const at::Tensor trackers = copy_of(dict.find("trackers")->as_tensor().tensor);
  LossScaler scaler;
  for (int update = 0; update < scales.numel(); ++update) {
    scaler.update(overflows(update));
    ASSERT_EQ(scaler.scale(), scales[update].item<double>()) << update;
    Arena arena;
    ASSERT_EQ(scaler.state(arena).as_dict().find("_growth_tracker")->as_int(),
              trackers[update].item<std::int64_t>())
        << update;
  }

  const Document saved = folder.open("state.pth");
  LossScaler taken_over;
  taken_over.load(*saved.root.as_dict().find("scaler"));
  EXPECT_EQ(taken_over.scale(), scaler.scale());
}

TEST(LossScaler, StateGoesOnWhereItWas) {
  LossScaler scaler(1024);
  for (int i = 0; i < 1999; ++i) scaler.update(false);
  Arena arena;
  LossScaler other;
  other.load(scaler.state(arena));
  EXPECT_EQ(other.scale(), 1024);
  other.update(false);
  EXPECT_EQ(other.scale(), 2048);
}

TEST(LossScaler, NumbersThatCannotBeAreRefused) {
  EXPECT_THROW(LossScaler(3), Error);
  EXPECT_THROW(LossScaler(0), Error);
  Arena arena;
  LossScaler scaler;
  EXPECT_THROW(scaler.load(Value()), Error);
  const Value wrong = arena.dict();
  wrong.as_dict().append(arena, "scale", Value::real(-2));
  wrong.as_dict().append(arena, "_growth_tracker", Value::integer(0));
  EXPECT_THROW(scaler.load(wrong), Error);
  EXPECT_EQ(scaler.scale(), 65536);
}

}  // namespace
}  // namespace reprise::engine
