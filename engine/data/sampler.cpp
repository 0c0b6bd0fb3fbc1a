#include "engine/data/sampler.h"

#include "ckpt/base/error.h"
#include "engine/random/stream.h"

#include <algorithm>
#include <numeric>

namespace reprise::engine {

TrainSampler::TrainSampler(std::uint64_t seed, std::uint64_t samples, std::uint64_t batch,
                           Cursor from)
    : seed_(seed), samples_(samples), batch_(batch), cursor_(from) {
  if (batch == 0 || batch > samples) {
    fail(Code::kUsage,
         "a batch of {} samples cannot be drawn from a training set of {}: give a --batch-size "
         "between 1 and {}",
         batch, samples, samples);
  }
  if (from.position % batch != 0 || from.position > samples) {
    fail(Code::kMismatch,
         "the checkpoint stopped {} samples into epoch {}, which is no place where batches of {} "
         "out of {} samples begin: resume with the batch size and the data it was saved with",
         from.position, from.epoch, batch, samples);
  }
}

TrainSampler::Step TrainSampler::next() {
  if (samples_ - cursor_.position < batch_) {
    cursor_ = {cursor_.epoch + 1, 0};
    order_.clear();
  }
  if (order_.empty()) {
    order_ = sample_order(seed_, cursor_.epoch, samples_);
  }
  const auto first = order_.begin() + static_cast<std::ptrdiff_t>(cursor_.position);
  Step step;
  step.epoch = cursor_.epoch;
  step.ids.assign(first, first + static_cast<std::ptrdiff_t>(batch_));
  cursor_.position += batch_;
  step.after = cursor_;
  return step;
}

std::vector<std::vector<std::uint64_t>> evaluation_batches(std::uint64_t samples,
                                                           std::uint64_t micro_batch) {
  std::vector<std::vector<std::uint64_t>> batches;
  for (std::uint64_t first = 0; first < samples; first += micro_batch) {
    std::vector<std::uint64_t> ids(micro_batch, kPadding);
    const std::uint64_t count = std::min(micro_batch, samples - first);
    std::iota(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), first);
    batches.push_back(std::move(ids));
  }
  return batches;
}

}  // namespace reprise::engine
