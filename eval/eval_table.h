// eval.tsv: every evaluation ever made of a run's checkpoints.
#pragma once

#include "engine/metrics/metrics.h"

#include <cstdint>
#include <filesystem>
#include <string>

namespace reprise::eval {

// What an evaluation is identified by, and where its state stands.
struct EvalKey {
  std::string uuid;         // of the checkpoint
  std::string data_digest;  // of what it was evaluated on
  std::string settings;     // what else its metrics depend on
  std::uint64_t epoch = 0, update = 0, samples = 0;
};

// Appends one row a metric: uuid, data, settings, epoch, update, samples, metric, value. A row
// that is there already to the last bit is not repeated. Returns how many metrics have another
// value under the same key: the same evaluation with other bits. Errors: kIo.
int append_to_table(const std::filesystem::path& path, const EvalKey& key,
                    const engine::Metrics& metrics);

}  // namespace reprise::eval
