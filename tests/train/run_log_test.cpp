#include "train/run_log.h"

#include "tests/train/training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise::train {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using training::read_file;
using training::Scratch;
using training::write_file;

IntervalRecord record(std::uint64_t update) {
  IntervalRecord out;
  out.epoch = (update - 1) / 10 + 1;
  out.update_in_epoch = (update - 1) % 10 + 1;
  out.updates_per_epoch = 10;
  out.update = update;
  out.samples_seen = update * 8;
  out.lr = 3.543e-05;
  out.eta_s = 3 * 3600 + 13 * 60 + 52;
  out.time_s = 0.357;
  out.data_time_s = 0.009;
  out.memory_mib = 15394;
  out.loss = 0.1381;
  out.grad_norm = 1.4511;
  return out;
}

TEST(RunLog, LineHasTheShapeOfMmcv) {
  EXPECT_EQ(mmcv_line(record(13)),
            "Epoch [2][3/10]\tlr: 3.543e-05, eta: 3:13:52, time: 0.357, data_time: 0.009, "
            "memory: 15394, loss: 0.1381, grad_norm: 1.4511");
  Scratch scratch;
  Io io;
  io.quiet = true;
  RunLog log(scratch.path(), "name", io);
  log.interval(record(1));
  EXPECT_THAT(
      read_file(scratch / "train.log"),
      ContainsRegex("^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2},[0-9]{3} - name "
                    "- INFO - Epoch \\[1\\]\\[1/10\\]\tlr: "));
}

TEST(RunLog, CutBackLeavesWhatBelongsToEarlierUpdates) {
  Scratch scratch;
  Io io;
  io.quiet = true;
  {
    RunLog log(scratch.path(), "n", io);
    for (std::uint64_t update = 1; update <= 20; ++update) {
      log.interval(record(update));
      if (update % 10 == 0) {
        log.evaluation({update / 10, update, update * 8, 5, {{"val/loss", 1.0 / 3}}});
        log.info("update " + std::to_string(update) + ": saved x.h5");
      }
    }
  }
  write_file(scratch / "train.tsv", read_file(scratch / "train.tsv") + "21\t3\t1");  // torn
  cut_back_logs(scratch.path(), 12);
  const std::string rows = read_file(scratch / "train.tsv");
  EXPECT_THAT(rows, HasSubstr("\n12\t2\t96\t"));
  EXPECT_THAT(rows, Not(HasSubstr("\n13\t")));
  EXPECT_TRUE(rows.ends_with("\n"));
  EXPECT_THAT(read_file(scratch / "valid.tsv"), HasSubstr("\n10\t1\t80\t5\t0.3333333333333333\n"));
  EXPECT_THAT(read_file(scratch / "valid.tsv"), Not(HasSubstr("\n20\t")));
  const std::string log = read_file(scratch / "train.log");
  EXPECT_THAT(log, HasSubstr("update 10: saved"));
  EXPECT_THAT(log, HasSubstr("Epoch [2][2/10]"));
  EXPECT_THAT(log, Not(HasSubstr("Epoch [2][3/10]")));
  EXPECT_THAT(log, Not(HasSubstr("update 20")));
}

TEST(RunLog, NumbersInTablesReadBackToTheSameBits) {
  EXPECT_EQ(std::stod(exact(0.1 + 0.2)), 0.1 + 0.2);
}

}  // namespace
}  // namespace reprise::train
