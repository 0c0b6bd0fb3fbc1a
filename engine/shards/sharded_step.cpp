#include "engine/shards/sharded_step.h"

#include "ckpt/base/error.h"
#include "engine/determinism/determinism.h"
#include "engine/determinism/op_trace.h"
#include "engine/device/memory.h"
#include "engine/device/side_stream.h"
#include "engine/shards/gradient_tree.h"
#include "engine/shards/leaf_records.h"
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

  // Errors: those of Communicator and translate_torch_errors().
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
      translate_torch_errors([this] { reduce_pieces(); });
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

  void reduce_pieces() {
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
  LeafRecords local_records;    // of this process
  std::vector<double> records;  // of all of them
  StepResult result;

  State(const ShardedStepOptions& step_options, std::shared_ptr<const Layout> shared_layout,
        c10::Device where, WorkerPool& threads, Communicator& processes)
      : options(step_options),
        layout(std::move(shared_layout)),
        device(where),
        pool(threads),
        communicator(processes),
        tree(layout, step_options.extra_elements, where, step_options.plan.local_leaves()),
        reduction_stream(where),
        local_records(layout, options.second_moments ? 2 : 1, options.plan.local_leaves()),
        records(local_records.record_elements() * options.plan.leaves()) {}

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
    Moments moments(layout->batch_norms().size());
    if (options.second_moments) shard.second_moments.resize(moments.size());
    shard.pass.training = true;
    shard.pass.seed = options.seed;
    shard.pass.update = update;
    shard.pass.shard = shard.leaf;
    shard.pass.moments = &moments;
    shard.pass.compute_type = options.compute_type;
    shard.pass.activation_checkpointing = options.activation_checkpointing;
    if (options.extra_elements > 0) {
      shard.extra = at::zeros({options.extra_elements}, weights.flat().options());
    }
    at::Tensor loss = [&] {
      const MemoryScope forward(MemoryPart::kActivations);
      return function(shard);
    }();
    std::vector<Moments> all_moments{moments};
    if (options.second_moments) all_moments.push_back(shard.second_moments);
    local_records.put(local, loss, std::move(all_moments));
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
  state.local_records.clear();
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
  // The first look at the device since the update began.
  std::vector<double> mine;
  translate_torch_errors([&] { mine = state.local_records.take(); });
  state.communicator.all_gather(std::as_bytes(std::span(mine)),
                                std::as_writable_bytes(std::span(state.records)));

  // Small numbers are the same on all ranks from here on, and so is what is made of them.
  const std::size_t record_elements = state.local_records.record_elements();
  std::vector<double> losses(plan.leaves());
  for (std::uint64_t i = 0; i < plan.leaves(); ++i) losses[i] = state.records[i * record_elements];
  state.result.loss = tree_sum(losses);
  const auto moments_of_leaves = [&](std::size_t start) {
    std::vector<double> moments;
    for (std::uint64_t i = 0; i < plan.leaves(); ++i) {
      const auto first =
          state.records.begin() + static_cast<std::ptrdiff_t>(i * record_elements + start);
      moments.insert(moments.end(), first, first + state.layout->moment_elements());
    }
    return moments;
  };
  fold_running_statistics(weights, moments_of_leaves(1));
  if (state.options.second_moments) {
    state.result.second_moments = moments_of_leaves(1 + state.moment_elements());
  }
  state.result.gradient = sum.narrow(0, 0, state.layout->flat_elements());
  if (state.options.loss_scale != 1) state.result.gradient.mul_(1 / state.options.loss_scale);
  if (state.options.extra_elements > 0) {
    state.result.extra = sum.narrow(0, state.layout->flat_elements(), state.options.extra_elements);
  }
  return state.result;
}

}  // namespace reprise::engine
