#include "engine/evaluate/evaluate.h"

#include "engine/data/loader.h"
#include "engine/data/sampler.h"
#include "engine/determinism/determinism.h"
#include "engine/tasks/supervised.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <span>

namespace reprise::engine {
namespace {

// Neighbouring micro-batches of one process.
struct Share {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

Share share_of(std::uint64_t micro_batches, int rank, int world) {
  const auto r = static_cast<std::uint64_t>(rank);
  const auto w = static_cast<std::uint64_t>(world);
  return {micro_batches * r / w, micro_batches * (r + 1) / w};
}

// All processes' scores, in data set order. Shares differ by a micro-batch, so they are padded to
// the largest.
std::vector<SampleScore> gathered(const std::vector<SampleScore>& mine, std::uint64_t samples,
                                  std::uint64_t micro_batches, Communicator& communicator) {
  const int world = communicator.world();
  if (world == 1) return mine;
  const std::uint64_t largest =
      (micro_batches / static_cast<std::uint64_t>(world) + 1) * kMicroBatch;
  std::vector<SampleScore> padded(mine);
  padded.resize(largest);
  std::vector<SampleScore> all(largest * static_cast<std::uint64_t>(world));
  communicator.all_gather(std::as_bytes(std::span(padded)), std::as_writable_bytes(std::span(all)));
  std::vector<SampleScore> scores(samples);
  for (int rank = 0; rank < world; ++rank) {
    const Share share = share_of(micro_batches, rank, world);
    const std::uint64_t first = std::min(share.first * kMicroBatch, samples);
    const std::uint64_t last = std::min(share.last * kMicroBatch, samples);
    std::copy_n(
        all.begin() + static_cast<std::ptrdiff_t>(static_cast<std::uint64_t>(rank) * largest),
        last - first, scores.begin() + static_cast<std::ptrdiff_t>(first));
  }
  return scores;
}

}  // namespace

std::vector<SampleScore> evaluate(const Network& network, const Weights& weights,
                                  const Objective& objective, const Dataset& dataset,
                                  const View& view, const EvaluateOptions& options,
                                  WorkerPool& pool, Communicator& communicator) {
  const std::uint64_t samples = dataset.size();
  const auto micro_batches = evaluation_batches(samples, kMicroBatch);
  const Share share = share_of(micro_batches.size(), communicator.rank(), communicator.world());
  const std::uint64_t in_flight =
      std::max<std::uint64_t>(1, (options.batch_size + kMicroBatch - 1) / kMicroBatch);

  std::uint64_t planned = share.first;
  const BatchPlan plan = [&]() -> std::optional<BatchRequest> {
    if (planned >= share.last) return std::nullopt;
    BatchRequest request;
    const std::uint64_t end = std::min(planned + in_flight, share.last);
    for (; planned < end; ++planned) {
      const auto& ids = micro_batches[planned];
      request.ids.insert(request.ids.end(), ids.begin(), ids.end());
    }
    return request;
  };
  LoaderOptions loading;
  loading.workers = options.workers;
  loading.seed = options.seed;
  Loader loader(dataset, {view}, in_flight * kMicroBatch, plan, loading);

  const c10::Device device = weights.flat().device();
  const std::uint64_t first_sample = share.first * kMicroBatch;
  const std::uint64_t last_sample = std::min(share.last * kMicroBatch, samples);
  std::vector<SampleScore> scores(last_sample > first_sample ? last_sample - first_sample : 0);
  std::uint64_t done = 0;
  while (const Batch* batch = loader.next()) {
    const TrainingBatch tensors = tensors_of(*batch, view.channels, device);
    const auto compute = [&](std::size_t piece) {
      const at::NoGradGuard no_gradients;
      const auto offset = static_cast<std::int64_t>(piece * kMicroBatch);
      const auto part = [&](const at::Tensor& whole) {
        return whole.defined() ? whole.narrow(0, offset, kMicroBatch) : whole;
      };
      const Pass pass;
      const at::Tensor outputs = network.forward(weights, part(tensors.images), pass);
      const std::uint64_t at = done + piece * kMicroBatch;
      const std::uint64_t real = std::min<std::uint64_t>(kMicroBatch, scores.size() - at);
      const auto found = objective.scores(outputs, part(tensors.labels), part(tensors.values),
                                          static_cast<std::int64_t>(real));
      std::ranges::copy(found, scores.begin() + static_cast<std::ptrdiff_t>(at));
    };
    const std::size_t pieces = batch->ids.size() / kMicroBatch;
    translate_torch_errors([&] {
      if (device.is_cpu()) {
        pool.run(pieces, compute);
      } else {
        for (std::size_t piece = 0; piece < pieces; ++piece) compute(piece);
      }
    });
    done = std::min<std::uint64_t>(done + batch->ids.size(), scores.size());
    if (options.progress) options.progress(done);
  }
  return gathered(scores, samples, micro_batches.size(), communicator);
}

}  // namespace reprise::engine
