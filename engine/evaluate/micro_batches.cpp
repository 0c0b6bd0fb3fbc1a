#include "engine/evaluate/micro_batches.h"

#include "engine/data/loader.h"
#include "engine/data/sampler.h"
#include "engine/determinism/determinism.h"
#include "engine/device/pinned_memory.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

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

std::uint64_t micro_batches_of(std::uint64_t samples) {
  return (samples + kMicroBatch - 1) / kMicroBatch;
}

SampleRange samples_of(const Share& share, std::uint64_t samples) {
  const std::uint64_t first = std::min(share.first * kMicroBatch, samples);
  return {first, std::min(share.last * kMicroBatch, samples) - first};
}

}  // namespace

SampleRange evaluated_samples(std::uint64_t samples, const Communicator& communicator) {
  return samples_of(share_of(micro_batches_of(samples), communicator.rank(), communicator.world()),
                    samples);
}

void for_each_micro_batch(const Dataset& dataset, const View& view, const EvaluateOptions& options,
                          c10::Device device, WorkerPool& pool, Communicator& communicator,
                          const MicroBatchFunction& compute) {
  const auto micro_batches = evaluation_batches(dataset.size(), kMicroBatch);
  const Share share = share_of(micro_batches.size(), communicator.rank(), communicator.world());
  const std::uint64_t mine = samples_of(share, dataset.size()).count;
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
  loading.allocate = pinned_memory(device);
  Loader loader(dataset, {view}, in_flight * kMicroBatch, plan, loading);

  std::uint64_t done = 0;
  while (const Batch* batch = loader.next()) {
    const TrainingBatch tensors = tensors_of(*batch, view.channels, device);
    const auto one = [&](std::size_t piece) {
      const at::NoGradGuard no_gradients;
      const auto offset = static_cast<std::int64_t>(piece * kMicroBatch);
      const auto part = [&](const at::Tensor& whole) {
        return whole.defined() ? whole.narrow(0, offset, kMicroBatch) : whole;
      };
      const std::uint64_t at = done + piece * kMicroBatch;
      compute({part(tensors.images), part(tensors.labels), part(tensors.values)}, at,
              std::min<std::uint64_t>(kMicroBatch, mine - at));
    };
    const std::size_t pieces = batch->ids.size() / kMicroBatch;
    translate_torch_errors([&] {
      if (device.is_cpu()) {
        pool.run(pieces, one);
      } else {
        for (std::size_t piece = 0; piece < pieces; ++piece) one(piece);
      }
    });
    done = std::min<std::uint64_t>(done + batch->ids.size(), mine);
    if (options.progress) options.progress(done);
  }
}

std::vector<std::byte> gathered_rows(std::span<const std::byte> mine, std::size_t row_bytes,
                                     std::uint64_t samples, Communicator& communicator) {
  const int world = communicator.world();
  std::vector<std::byte> padded(mine.begin(), mine.end());
  if (world == 1) return padded;
  // Shares differ by a micro-batch, so they are padded to the largest.
  const std::uint64_t micro_batches = micro_batches_of(samples);
  const std::size_t largest =
      (micro_batches / static_cast<std::uint64_t>(world) + 1) * kMicroBatch * row_bytes;
  padded.resize(largest);
  std::vector<std::byte> all(largest * static_cast<std::size_t>(world));
  communicator.all_gather(padded, all);
  std::vector<std::byte> rows(samples * row_bytes);
  for (int rank = 0; rank < world; ++rank) {
    const SampleRange range = samples_of(share_of(micro_batches, rank, world), samples);
    std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(rank) * largest),
                range.count * row_bytes,
                rows.begin() + static_cast<std::ptrdiff_t>(range.first * row_bytes));
  }
  return rows;
}

}  // namespace reprise::engine
