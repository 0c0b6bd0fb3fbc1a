#include "engine/evaluate/evaluate.h"

#include "engine/evaluate/micro_batches.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <type_traits>

namespace reprise::engine {

std::vector<SampleScore> evaluate(const Network& network, const Weights& weights,
                                  const Objective& objective, const Dataset& dataset,
                                  const View& view, const EvaluateOptions& options,
                                  WorkerPool& pool, Communicator& communicator) {
  static_assert(std::is_trivially_copyable_v<SampleScore>);
  std::vector<SampleScore> mine(evaluated_samples(dataset.size(), communicator).count);
  for_each_micro_batch(
      dataset, view, options, weights.flat().device(), pool, communicator,
      [&](const TrainingBatch& part, std::uint64_t first, std::uint64_t real) {
        const Pass pass;
        const auto found =
            objective.scores(network.forward(weights, part.images, pass), part.labels, part.values,
                             static_cast<std::int64_t>(real));
        std::ranges::copy(found, mine.begin() + static_cast<std::ptrdiff_t>(first));
      });
  const auto rows = gathered_rows(std::as_bytes(std::span(mine)), sizeof(SampleScore),
                                  dataset.size(), communicator);
  std::vector<SampleScore> scores(dataset.size());
  std::memcpy(scores.data(), rows.data(), rows.size());
  return scores;
}

}  // namespace reprise::engine
