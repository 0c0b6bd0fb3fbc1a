// Which samples an update sees: a pure function of (seed, epoch, position).
#pragma once

#include <cstdint>
#include <vector>

namespace reprise::engine {

// Id of a place in a batch that holds no sample: its image is all zeros, its label -1.
inline constexpr std::uint64_t kPadding = ~std::uint64_t{0};

// How far a run has read: `position` samples of the order of `epoch` are behind it. This is
// what a checkpoint stores.
struct Cursor {
  std::uint64_t epoch = 0;
  std::uint64_t position = 0;
  bool operator==(const Cursor&) const = default;
};

// The global batches of training, epoch after epoch, without end. What is left over at the
// end of an epoch and does not fill a batch is dropped: other samples each epoch.
// Copyable; one thread at a time. Holds the order of one epoch: 8 bytes a sample.
class TrainSampler {
 public:
  // Starts at `from`, having computed nothing before it.
  // Errors: kUsage when the batch is larger than the set; kMismatch when `from` is no
  // multiple of the batch (the checkpoint is of another batch size or set).
  TrainSampler(std::uint64_t seed, std::uint64_t samples, std::uint64_t batch, Cursor from = {});

  struct Step {
    std::uint64_t epoch = 0;
    std::vector<std::uint64_t> ids;  // [batch]: cut it into shards in this order
    Cursor after;                    // where the next batch starts
  };
  Step next();

  std::uint64_t batches_per_epoch() const { return samples_ / batch_; }

 private:
  std::uint64_t seed_, samples_, batch_;
  Cursor cursor_;
  std::vector<std::uint64_t> order_;
};

// All samples in data set order in micro-batches of one fixed size, the last one filled up
// with kPadding; `[number]` is the micro-batch.
std::vector<std::vector<std::uint64_t>> evaluation_batches(std::uint64_t samples,
                                                           std::uint64_t micro_batch);

}  // namespace reprise::engine
