// Reads, decodes and augments batches ahead of the consumer on worker threads.
#pragma once

#include "engine/data/dataset.h"
#include "engine/data/sampler.h"
#include "engine/data/view.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace reprise::engine {

// What one batch is to hold. A process asks for the shards it computes and no others.
struct BatchRequest {
  std::uint64_t epoch = 0;
  std::vector<std::uint64_t> ids;  // kPadding for places without a sample
  Cursor after;                    // handed through to the batch
  // Multi-scale training: when not 0, the first view is side x side in this batch; at most
  // LoaderOptions::largest_side.
  int side = 0;
};

// The requests, in order, until nothing is left. Called by one thread at a time, but not
// always by the same; up to `prefetch` batches ahead of the consumer.
using BatchPlan = std::function<std::optional<BatchRequest>()>;

// A loaded batch. The spans point into a buffer of the loader.
struct Batch {
  std::uint64_t number = 0;  // 0, 1, ... in the order of the plan
  std::uint64_t epoch = 0;
  std::vector<std::uint64_t> ids;
  Cursor after;  // store this in a checkpoint once the batch has been learnt from
  // One a view: [batch, channels, height, width], contiguous, and its size here.
  std::vector<std::span<float>> views;
  std::vector<ImageSize> sizes;
  std::vector<std::int64_t> labels;  // [batch]; -1 in regression and for padding
  std::vector<float> values;         // [batch, targets]; empty in classification
};

struct LoaderOptions {
  // Threads; 0: next() does the work itself.
  unsigned workers = 2;
  // Batches that may be loading or waiting besides the one the consumer holds; at least 1.
  unsigned prefetch = 2;
  std::uint64_t seed = 0;
  int largest_side = 0;
  // Gives memory for `floats` floats, aligned to 64 bytes, that stays valid and unmoved as
  // long as the loader lives: pinned_memory() where a GPU computes. Called in the constructor only.
  // Null: the loader's own memory.
  std::function<std::span<float>(std::size_t floats)> allocate;
};

// The bits of a batch depend on data set, views, seed and request alone, never on
// `workers` or `prefetch`. Augmentation is keyed by (seed, epoch, sample id, view number).
// Used from one thread; not movable. The data set must outlive it.
class Loader {
 public:
  // `batch`: the largest number of ids in a request. Allocates prefetch + 1 buffers.
  // Starts loading at once. Errors: kUsage for a view without size, kInternal.
  Loader(const Dataset& dataset, std::vector<View> views, std::size_t batch, BatchPlan plan,
         const LoaderOptions& options);
  // Stops within the time of one sample; what was prefetched is dropped.
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next batch, waiting for it; null after the last. It is valid until the next call.
  // Errors: what reading a sample threw, in the place of the batch it belongs to, naming the
  // sample; after an error the loader is at its end.
  const Batch* next();

  // Seconds that next() has waited in all: what `data_time` in the log shows.
  double waited_s() const;

 private:
  class Work;
  std::unique_ptr<Work> work_;
};

}  // namespace reprise::engine
