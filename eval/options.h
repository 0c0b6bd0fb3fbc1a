// What `eval` is asked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace reprise::eval {

struct EvalOptions {
  std::string target;  // a checkpoint, a reference, or a run directory
  std::string epochs;  // "3:12", both included, or "3"
  bool all = false;
  bool watch = false;
  bool compare_origin = false;
  std::string data;  // empty: what training evaluated on
  std::optional<std::uint64_t> max_samples;
  std::uint64_t batch_size = 64;
  std::string device = "auto";
  unsigned workers = 2;
  int image_size = 0;  // for checkpoints that do not say: 0 is that of the data
  bool skip_bad = false;
};

}  // namespace reprise::eval
