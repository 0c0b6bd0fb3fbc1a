#include "engine/shards/sharded_step.h"

#include "ckpt/base/error.h"
#include "engine/determinism/determinism.h"
#include "engine/determinism/op_trace.h"
#include "engine/device/memory.h"
#include "engine/device/side_stream.h"
#include "engine/shards/gradient_tree.h"
#include "engine/shards/reduce.h"
#include "engine/shards/running_statistics.h"
#include "engine/shards/tree.h"
#include "engine/weights/gradient_sink.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <exception>
#include <optional>
#include <span>
#include <thread>
#include <utility>

namespace reprise::engine {
namespace {

// Brings one leaf's gradients to the tree while its backward pass goes on.
class LeafGradients : public GradientSink {
 public:
  LeafGradients(GradientTree& tree, std::uint64_t leaf, std::size_t parameters)
      : tree_(tree), leaf_(leaf), taken_(parameters) {}

  void take(std::size_t parameter, const at::Tensor& gradient) override {
    const MemoryScope sums(MemoryPart::kGradients);
    tree_.add(leaf_, parameter, gradient);
    taken_[parameter] = true;
  }

  bool has_taken(std::size_t parameter) const { return taken_[parameter]; }

 private:
  GradientTree& tree_;
  std::uint64_t leaf_;
  std::vector<bool> taken_;
};

// Sums the tree over all ranks, a piece as soon as this process has its share of it, in a thread
// beside the ones that compute, and on a GPU in a stream beside theirs. The order of pieces is the
// same on all ranks, whatever is ready.
class Reduction {
 public:
  Reduction(GradientTree& tree, SideStream& stream, Communicator& communicator)
      : tree_(tree), stream_(stream), communicator_(communicator) {
    if (communicator.world() > 1) thread_ = std::thread([this] { reduce(); });
  }
  // Without finish(), a leaf failed: what is under way ends, nothing further begins.
  ~Reduction() {
    tree_.give_up();
    join();
  }
  Reduction(const Reduction&) = delete;
  Reduction& operator=(const Reduction&) = delete;

  // Errors: those of Communicator.
  void finish() {
    join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  void reduce() {
    try {
      prepare_compute_thread();
      join_memory_count();
      const SideStream::Scope beside(stream_);
      for (std::size_t i = 0; i < tree_.pieces(); ++i) {
        std::optional<at::Tensor> piece = tree_.wait_for(i);
        if (!piece) break;
        // It is there once the device has done what it was asked for.
        stream_.after_compute();
        reduce_over_ranks(*piece, communicator_);
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
    try {
      // Also after an error: the memory is the next update's.
      stream_.before_compute();
    } catch (...) {
      if (!failure_) failure_ = std::current_exception();
    }
  }

  GradientTree& tree_;
  SideStream& stream_;
  Communicator& communicator_;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace

struct ShardedStep::State {
  ShardedStepOptions options;
  std::shared_ptr<const Layout> layout;
  c10::Device device;
  WorkerPool& pool;
  Communicator& communicator;
  GradientTree tree;
  SideStream reduction_stream;
  // Per leaf of this process: loss, sums, moments, second moments; and the same of all processes.
  std::size_t record_size = 0;
  std::vector<double> local_records;
  std::vector<double> records;
  StepResult result;

  State(const ShardedStepOptions& step_options, std::shared_ptr<const Layout> shared_layout,
        c10::Device where, WorkerPool& threads, Communicator& processes)
      : options(step_options),
        layout(std::move(shared_layout)),
        device(where),
        pool(threads),
        communicator(processes),
        tree(layout, step_options.extra_elements, where, step_options.plan.local_leaves()),
        reduction_stream(where) {
    record_size = 1 + options.sums + (options.second_moments ? 2 : 1) * moment_elements();
    local_records.resize(record_size * options.plan.local_leaves());
    records.resize(record_size * options.plan.leaves());
  }

  std::size_t moment_elements() const {
    return static_cast<std::size_t>(layout->moment_elements());
  }

  void compute_leaf(const Weights& weights, const std::vector<std::size_t>& trainable,
                    std::uint64_t update, std::uint64_t local, const ShardFunction& function) {
    const ShardPlan& plan = options.plan;
    Shard shard;
    shard.leaf = plan.first_leaf() + local;
    std::optional<LeafScope> traced(std::in_place, update, shard.leaf);
    shard.samples = plan.leaf_samples(shard.leaf);
    shard.samples.first -= plan.local_samples().first;
    shard.update_samples = plan.samples_per_update();
    Moments moments(moment_elements(), 0.0);
    if (options.second_moments) shard.second_moments.assign(moment_elements(), 0.0);
    shard.pass.training = true;
    shard.pass.seed = options.seed;
    shard.pass.update = update;
    shard.pass.shard = shard.leaf;
    shard.pass.moments = &moments;
    shard.pass.compute_type = options.compute_type;
    shard.pass.activation_checkpointing = options.activation_checkpointing;
    shard.sums.assign(options.sums, 0.0);
    if (options.extra_elements > 0) {
      shard.extra = at::zeros({options.extra_elements}, weights.flat().options());
    }
    at::Tensor loss = [&] {
      const MemoryScope forward(MemoryPart::kActivations);
      return function(shard);
    }();
    double* record = local_records.data() + local * record_size;
    record[0] = loss.item<double>();
    std::copy(shard.sums.begin(), shard.sums.end(), record + 1);
    double* statistics = std::copy(moments.begin(), moments.end(), record + 1 + options.sums);
    std::copy(shard.second_moments.begin(), shard.second_moments.end(), statistics);
    if (options.loss_scale != 1) loss = loss * options.loss_scale;
    const MemoryScope backward(MemoryPart::kBackward);
    LeafGradients sink(tree, local, layout->parameters().size());
    std::vector<at::Tensor> gradients;
    {
      const GradientScope to_tree(&sink);
      std::vector<at::Tensor> sources;
      for (const std::size_t i : trainable) sources.push_back(weights.parameter(i));
      gradients = torch::autograd::grad({loss}, sources, {}, /*retain_graph=*/false,
                                        /*create_graph=*/false, /*allow_unused=*/true);
    }
    loss.reset();
    // Which thread adds which pair is a matter of timing.
    traced.reset();
    const MemoryScope sums(MemoryPart::kGradients);
    for (std::size_t i = 0; i < trainable.size(); ++i) {
      if (!sink.has_taken(trainable[i])) tree.add(local, trainable[i], gradients[i]);
    }
    if (options.extra_elements > 0) tree.add_extra(local, shard.extra);
  }
};

ShardedStep::ShardedStep(const ShardedStepOptions& options, std::shared_ptr<const Layout> layout,
                         c10::Device device, WorkerPool& pool, Communicator& communicator) {
  options.plan.validate();
  if (options.plan.world != communicator.world() || options.plan.rank != communicator.rank()) {
    fail(Code::kInternal, "the plan is for rank {} of {}, the process is rank {} of {}",
         options.plan.rank, options.plan.world, communicator.rank(), communicator.world());
  }
  state_ = std::make_unique<State>(options, std::move(layout), device, pool, communicator);
}

ShardedStep::~ShardedStep() = default;

void ShardedStep::set_loss_scale(double scale) { state_->options.loss_scale = scale; }

const StepResult& ShardedStep::run(Weights& weights, std::uint64_t update,
                                   const ShardFunction& function) {
  State& state = *state_;
  const ShardPlan& plan = state.options.plan;
  state.result = {};
  state.tree.reset();
  const Weights::Arranged arranged(weights, state.pool);
  std::vector<std::size_t> trainable;
  for (std::size_t i = 0; i < state.layout->parameters().size(); ++i) {
    if (state.layout->parameters()[i].trainable) trainable.push_back(i);
  }
  const auto leaf = [&](std::size_t local) {
    translate_torch_errors(
        [&] { state.compute_leaf(weights, trainable, update, local, function); });
  };
  Reduction reduction(state.tree, state.reduction_stream, state.communicator);
  if (state.device.is_cpu()) {
    state.pool.run(plan.local_leaves(), leaf);
  } else {
    for (std::uint64_t local = 0; local < plan.local_leaves(); ++local) leaf(local);
  }

  reduction.finish();
  const at::Tensor& sum = state.tree.sum();
  state.communicator.all_gather(std::as_bytes(std::span(state.local_records)),
                                std::as_writable_bytes(std::span(state.records)));

  // Small numbers are the same on all ranks from here on, and so is what is made of them.
  std::vector<double> column(plan.leaves());
  const auto sum_of_column = [&](std::size_t index) {
    for (std::uint64_t i = 0; i < plan.leaves(); ++i) {
      column[i] = state.records[i * state.record_size + index];
    }
    return tree_sum(column);
  };
  state.result.loss = sum_of_column(0);
  for (std::size_t i = 0; i < state.options.sums; ++i) {
    state.result.sums.push_back(sum_of_column(1 + i));
  }
  const auto moments_of_leaves = [&](std::size_t start) {
    std::vector<double> moments;
    for (std::uint64_t i = 0; i < plan.leaves(); ++i) {
      const auto first =
          state.records.begin() + static_cast<std::ptrdiff_t>(i * state.record_size + start);
      moments.insert(moments.end(), first, first + state.layout->moment_elements());
    }
    return moments;
  };
  const std::size_t first_moment = 1 + state.options.sums;
  fold_running_statistics(weights, moments_of_leaves(first_moment));
  if (state.options.second_moments) {
    state.result.second_moments = moments_of_leaves(first_moment + state.moment_elements());
  }
  state.result.gradient = sum.narrow(0, 0, state.layout->flat_elements());
  if (state.options.loss_scale != 1) state.result.gradient.mul_(1 / state.options.loss_scale);
  if (state.options.extra_elements > 0) {
    state.result.extra = sum.narrow(0, state.layout->flat_elements(), state.options.extra_elements);
  }
  return state.result;
}

}  // namespace reprise::engine
