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
  std::string arch;    // for checkpoints that do not say
  int image_size = 0;  // for checkpoints that do not say: 0 is that of the data
  bool skip_bad = false;
  // network, knn, linear; auto: the network, or the neighbours where there is no head.
  std::string protocol = "auto";
  std::string backbone;     // of a head: empty is where it was, or found by its UUID
  std::string search_path;  // folders in which that is looked for
  std::optional<std::int64_t> neighbours;
  std::optional<std::uint64_t> bank_samples;
};

}  // namespace reprise::eval
