// A short training run on made-up images, and one digest of everything it leaves behind.
#pragma once

#include "ckpt/base/sha256.h"
#include "engine/distributed/communicator.h"
#include "engine/models/network.h"
#include "engine/optim/ema.h"
#include "engine/optim/gradient.h"
#include "engine/optim/optimizer.h"
#include "engine/random/stream.h"
#include "engine/shards/sharded_step.h"
#include "engine/tasks/supervised.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

namespace reprise::engine {

struct SmallRun {
  NetworkOptions network;
  OptimizerOptions optimizer;
  ShardPlan plan;
  std::uint64_t updates = 3;
  double clip = 1;
  bool activation_checkpointing = false;
  at::ScalarType compute_type = at::kFloat;
};

struct SmallRunResult {
  std::vector<double> losses;
  std::vector<double> norms;
  Digest digest;
};

inline TrainingBatch made_up_batch(const NetworkOptions& network, std::uint64_t update,
                                   SampleRange samples) {
  const auto count = static_cast<std::int64_t>(samples.count);
  TrainingBatch batch;
  batch.images =
      at::empty({count, network.channels, network.image_size, network.image_size}, at::kFloat);
  batch.labels = at::empty({count}, at::kLong);
  const std::int64_t pixels = batch.images.numel() / count;
  for (std::int64_t i = 0; i < count; ++i) {
    Stream stream(7, Domain::kGenerated, {update, samples.first + static_cast<std::uint64_t>(i)});
    batch.labels.mutable_data_ptr<std::int64_t>()[i] =
        static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(network.outputs)));
    stream.fill_normal(std::span(batch.images.mutable_data_ptr<float>() + i * pixels,
                                 static_cast<std::size_t>(pixels)),
                       0, 1);
  }
  return batch;
}

inline Digest digest_of(const Weights& weights, const Weights& average,
                        const Optimizer& optimizer) {
  Sha256 sha;
  for (const Weights* each : {&weights, &average}) {
    for (const auto& [name, tensor] : state_of(each->named())) {
      sha.update(name).update(tensor.to_bytes());
    }
  }
  Arena arena;
  const Value state = optimizer.state(arena);
  for (const DictEntry& parameter : state.as_dict().get("state").as_dict().entries) {
    for (const DictEntry& slot : parameter.value.as_dict().entries) {
      sha.update(slot.key.as_string()).update(slot.value.as_tensor().tensor.to_bytes());
    }
  }
  return sha.finish();
}

inline TrainingBatch on_device(const TrainingBatch& batch, c10::Device device) {
  return {batch.images.to(device), batch.labels.to(device), batch.values};
}

inline SmallRunResult run_small(const SmallRun& run, unsigned threads, Communicator& communicator,
                                c10::Device device = c10::kCPU) {
  WorkerPool pool(threads);
  const auto network = build_network(run.network);
  Weights weights = Weights::initialised(network->layout(), 42, device);
  weights.require_gradients(true);
  Weights average = weights.clone();
  const auto optimizer = make_optimizer(run.optimizer, weights);
  const Objective objective({});
  ShardedStepOptions options;
  options.plan = run.plan;
  options.plan.world = communicator.world();
  options.plan.rank = communicator.rank();
  options.seed = 42;
  options.activation_checkpointing = run.activation_checkpointing;
  options.compute_type = run.compute_type;
  ShardedStep step(options, network->layout(), device, pool, communicator);
  SmallRunResult result;
  for (std::uint64_t update = 0; update < run.updates; ++update) {
    const TrainingBatch batch =
        on_device(made_up_batch(run.network, update, options.plan.local_samples()), device);
    const StepResult& out =
        step.run(weights, update, supervised(*network, weights, objective, batch));
    const double norm = gradient_norm(out.gradient, pool);
    StepOptions how;
    how.lr = run.optimizer.lr;
    how.weight_decay = run.optimizer.weight_decay;
    how.gradient_scale = clip_scale(norm, run.clip);
    optimizer->step(weights, out.gradient, how, pool);
    update_average(average, weights, 0.9, pool);
    result.losses.push_back(out.loss);
    result.norms.push_back(norm);
  }
  result.digest = digest_of(weights, average, *optimizer);
  return result;
}

inline SmallRun small_resnet() {
  SmallRun run;
  run.network.arch = "resnet18_cifar";
  run.network.outputs = 10;
  run.network.image_size = 16;
  run.optimizer.name = "sgd";
  run.optimizer.lr = 0.05;
  run.optimizer.weight_decay = 5e-4;
  run.plan.batch = 19;  // leaves of 5, 5, 5 and 4 samples
  run.plan.shards = 4;
  run.plan.accumulate = 2;
  return run;
}

inline SmallRun small_vit() {
  SmallRun run;
  run.network.arch = "vit_tiny";
  run.network.outputs = 10;
  run.network.image_size = 16;
  run.network.patch_size = 4;
  run.network.dropout = 0.1;
  run.network.drop_path = 0.2;
  run.optimizer.name = "adamw";
  run.optimizer.lr = 1e-3;
  run.optimizer.weight_decay = 0.05;
  run.optimizer.no_decay_for_vectors = true;
  run.plan.batch = 16;
  run.plan.shards = 8;
  return run;
}

}  // namespace reprise::engine
