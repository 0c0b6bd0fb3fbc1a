// The heart: gradients of one update, shard by shard, added in a fixed tree.
#pragma once

#include "engine/distributed/communicator.h"
#include "engine/models/pass.h"
#include "engine/shards/plan.h"
#include "engine/weights/weights.h"
#include "engine/workers/worker_pool.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace reprise::engine {

// One leaf as the function that computes it sees it.
struct Shard {
  std::uint64_t leaf = 0;  // within the update
  SampleRange samples;     // within this process's samples of the update (local_samples())
  std::uint64_t update_samples = 0;  // of all leaves of all processes: what a mean divides by
  Pass pass;                         // training, seed, update, shard and moments are set
  // BatchNorm's statistics of a second network, for the function to fill; empty unless asked for.
  Moments second_moments;
  // Passes that the function needs beside `pass`: they live until the backward pass is over.
  std::deque<Pass> more_passes;
  // Float32 numbers to be added in the same tree as gradients (DINO's centre); zero before.
  at::Tensor extra;
};

// Computes a leaf: a scalar whose gradient is the leaf's share of the update's gradient, that
// is, the sum of its samples' losses divided by `update_samples`. Called on several threads
// at once, for different leaves.
using ShardFunction = std::function<at::Tensor(Shard& shard)>;

struct StepResult {
  double loss = 0;      // tree sum of the leaves' values
  at::Tensor gradient;  // laid out like Weights::flat(); valid until the next run()
  at::Tensor extra;     // likewise
  // Shard::second_moments of all leaves, in order: fold_running_statistics() takes them.
  std::vector<double> second_moments;
};

struct ShardedStepOptions {
  ShardPlan plan;
  std::uint64_t seed = 0;
  std::int64_t extra_elements = 0;  // length of Shard::extra
  bool second_moments = false;      // whether there is a second network of the same layout
  bool activation_checkpointing = false;
  at::ScalarType compute_type = at::kFloat;
  // The loss is multiplied by it before the backward pass, and the gradient by its inverse after
  // it has been summed: a power of two, which changes no bit but those that would be out of range.
  double loss_scale = 1;
};

// Every bit of the result is a pure function of weights, samples, seed, update and plan (less
// world and rank): neither threads nor processes change it. On CPU leaves are computed side
// by side on the pool; on a GPU one after another. A pair of the tree is added as soon as both
// halves are there, so about threads + log2(leaves) gradients are alive at a time; sums over
// processes begin while the last backward pass goes on, on a GPU in a stream of their own.
// Weights must not change during run(). Used from one thread. What the host reads of a GPU it reads
// when the device has been given all leaves, in one piece, so that the device is never out of work
// between two of them; when run() returns, the device has seen whatever it was given before,
// samples among it.
class ShardedStep {
 public:
  // `pool` and `communicator` must outlive this. Errors: those of ShardPlan::validate().
  ShardedStep(const ShardedStepOptions& options, std::shared_ptr<const Layout> layout,
              c10::Device device, WorkerPool& pool, Communicator& communicator);
  ~ShardedStep();
  ShardedStep(const ShardedStep&) = delete;
  ShardedStep& operator=(const ShardedStep&) = delete;

  // Gradients of the trainable parameters of `weights` (which require gradients), the loss,
  // and one step of the running statistics of BatchNorm in `weights`' buffers: the moments of
  // all leaves are pooled in leaf order in float64 into the moments of the whole update
  // (mean, and variance within plus between leaves, unbiased), and folded in once with
  // BatchNorm's momentum: what one BatchNorm over the update's samples would have stored.
  // Errors: those of `function`; kUnsupported, kIo of translate_torch_errors(). After an error
  // weights and statistics are as they were.
  const StepResult& run(Weights& weights, std::uint64_t update, const ShardFunction& function);

  void set_loss_scale(double scale);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reprise::engine
