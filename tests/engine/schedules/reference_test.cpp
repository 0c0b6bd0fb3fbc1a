// Our schedules against torch.optim.lr_scheduler, update by update.
#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "engine/schedules/schedule.h"
#include "tests/engine/python_peer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace reprise::engine {
namespace {

TEST(Schedule, FollowsPyTorchFor100Updates) {
  const PeerFolder folder;
  folder.run("schedules/reference_schedules.py", "");
  std::ifstream file(folder.path() / "schedules.json");
  const Json peers = parse_json(std::string(std::istreambuf_iterator<char>(file), {}));
  for (const auto& [name, rates] : peers.items()) {
    ScheduleOptions options;
    options.name = name.substr(0, name.find('+'));
    options.base = 0.3;
    options.final = options.name == "poly" ? 0 : 0.01;
    options.updates = 100;
    options.updates_per_epoch = 10;
    if (name.ends_with("+warmup")) options.warmup_updates = 20;
    const Schedule schedule(options);
    for (std::size_t update = 0; update < rates.size(); ++update) {
      EXPECT_NEAR(schedule.at(update), rates[update].get<double>(), 1e-7) << name << " " << update;
    }
  }
}

TEST(Schedule, StaysAtItsLastValue) {
  ScheduleOptions options;
  options.updates = 10;
  const Schedule schedule(options);
  EXPECT_EQ(schedule.at(9), schedule.at(1000));
}

TEST(Schedule, NamesTheNearestOne) {
  ScheduleOptions options;
  options.name = "cosin";
  try {
    const Schedule schedule(options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUsage);
    EXPECT_NE(std::string(error.what()).find("'cosine'"), std::string::npos) << error.what();
  }
}

TEST(Schedule, AWarmupHasToBeShorterThanTheRun) {
  ScheduleOptions options;
  options.updates = 10;
  options.warmup_updates = 10;
  EXPECT_THROW(Schedule{options}, Error);
}

}  // namespace
}  // namespace reprise::engine
