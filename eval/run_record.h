// The record of an evaluation in the fingerprint of the run that it evaluates.
#pragma once

#include "ckpt/base/io.h"
#include "eval/subject.h"

#include <c10/core/Device.h>

#include <chrono>
#include <filesystem>
#include <string>

namespace reprise::eval {

// One record of this process, of kind "eval", with what differs from the process that trained.
// Nothing is written where there is no run with a fingerprint, and none to a signed run: its
// signature would not hold any more. A run that may only be read is said and left alone.
class RunRecord {
 public:
  RunRecord(const std::filesystem::path& run, const Subject& subject, c10::Device device,
            unsigned threads, Io& io);
  // Notes how the process ended. Errors: kIo.
  void finish(int exit_code);

 private:
  std::filesystem::path run_;
  std::string id_;  // empty: not recorded
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace reprise::eval
