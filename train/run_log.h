// What a run writes for people and plots: train.log, train.tsv, valid.tsv.
#pragma once

#include "ckpt/base/io.h"
#include "repro/tensorboard/event_writer.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise::train {

// One log interval. Times are of one update, averaged over the interval.
struct IntervalRecord {
  std::uint64_t epoch = 0;            // from 1
  std::uint64_t update_in_epoch = 0;  // from 1
  std::uint64_t updates_per_epoch = 0;
  std::uint64_t update = 0;  // done in all
  std::uint64_t samples_seen = 0;
  double lr = 0;
  double eta_s = 0;
  double time_s = 0;
  double data_time_s = 0;  // of it waiting for data
  std::uint64_t memory_mib = 0;
  double loss = 0;
  double grad_norm = 0;
};

// One evaluation.
struct EvaluationRecord {
  std::uint64_t epoch = 0;  // completed
  std::uint64_t update = 0;
  std::uint64_t samples_seen = 0;
  std::uint64_t samples = 0;  // evaluated
  std::vector<std::pair<std::string, double>> metrics;
};

// The tail of a log line in mmcv's shape, which people's scripts parse:
// "Epoch [3][1200/1514]\tlr: 3.543e-05, eta: 3:13:52, time: 0.357, ..."
std::string mmcv_line(const IntervalRecord& record);

// The shortest text that reads back to the same double.
std::string exact(double value);

// Appends to the three files of a run directory. Each line is handed to the kernel whole, so a
// killed process leaves no half line. Members may be called from any thread.
// Errors: kIo, for every member.
class RunLog {
 public:
  // Opens or makes the files in `run`. `name` stands in each line of train.log. Lines go to `io`
  // too, which must outlive this; intervals do not when stderr is a terminal, where a bar moves.
  RunLog(const std::filesystem::path& run, std::string name, Io& io);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  // From here on intervals and evaluations go into `events` too; how the run ended is for end().
  void also_to(std::unique_ptr<tensorboard::EventWriter> events) { events_ = std::move(events); }
  void end(bool success);

  // "2026-11-21 00:29:11,300 - <name> - INFO - <text>"
  void info(std::string_view text);
  void warn(std::string_view text);
  // To the file alone: whoever ends the process says it on stderr.
  void error(std::string_view text);
  void interval(const IntervalRecord& record);
  void evaluation(const EvaluationRecord& record);

 private:
  struct Files;
  void line(std::string_view level, std::string_view text, bool shown);
  std::mutex mutex_;
  std::string name_;
  Io& io_;
  std::unique_ptr<Files> files_;
  std::unique_ptr<tensorboard::EventWriter> events_;
};

// Takes off the files of `run` what later updates than `update` wrote: events, rows of the tables,
// and train.log from the first line on that speaks of a later one. A torn last line goes too.
void cut_back_logs(const std::filesystem::path& run, std::uint64_t update);

}  // namespace reprise::train
