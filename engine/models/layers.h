// The layers that networks are made of, as functions of weights, input and pass.
#pragma once

#include "engine/models/pass.h"
#include "engine/weights/weights.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace reprise::engine {

// All layers: registered in a Layout when the network is built, immutable afterwards, safe to
// run from several threads.

// y = x W^T + b. torch.nn.Linear's names.
class Linear {
 public:
  Linear() = default;
  Linear(Layout& layout, const std::string& name, std::int64_t in, std::int64_t out, Init weight,
         Init bias);
  at::Tensor operator()(const Weights& weights, const at::Tensor& x, const Pass& pass) const;

 private:
  std::size_t weight_ = 0;
  std::size_t bias_ = 0;
};

// A convolution without bias; He initialisation, fan out.
class Convolution {
 public:
  Convolution() = default;
  Convolution(Layout& layout, const std::string& name, std::int64_t in, std::int64_t out,
              std::int64_t kernel, std::int64_t stride);
  at::Tensor operator()(const Weights& weights, const at::Tensor& x, const Pass& pass) const;

 private:
  std::size_t weight_ = 0;
  std::int64_t stride_ = 1;
  std::int64_t padding_ = 0;
};

// Batch normalisation over [batch, channels, height, width]. In training it normalises with
// the statistics of its own shard and writes them to Pass::moments; running statistics change
// in ShardedStep alone. Errors: kUsage for a single value per channel in training.
class BatchNorm {
 public:
  BatchNorm() = default;
  BatchNorm(Layout& layout, const std::string& name, std::int64_t channels);
  at::Tensor operator()(const Weights& weights, const at::Tensor& x, const Pass& pass) const;

 private:
  Layout::BatchNormIndex index_{};
};

// Over the last dimension, eps 1e-6 as in DINO and timm.
class LayerNorm {
 public:
  LayerNorm() = default;
  LayerNorm(Layout& layout, const std::string& name, std::int64_t width);
  at::Tensor operator()(const Weights& weights, const at::Tensor& x, const Pass& pass) const;

 private:
  std::size_t weight_ = 0;
  std::size_t bias_ = 0;
  std::int64_t width_ = 0;
};

// Sets each element to zero with probability p in training and scales the others by 1/(1-p).
// The mask is the stream (seed, Domain::kDropout, update, shard, layer), in memory order.
class Dropout {
 public:
  Dropout() = default;
  Dropout(Layout& layout, double probability);
  at::Tensor operator()(const at::Tensor& x, const Pass& pass) const;

 private:
  double probability_ = 0;
  std::uint64_t layer_ = 0;
};

// Stochastic depth (Huang et al. 2016): drops the residual branch of whole samples.
class DropPath {
 public:
  DropPath() = default;
  DropPath(Layout& layout, double probability);
  at::Tensor operator()(const at::Tensor& branch, const Pass& pass) const;

 private:
  double probability_ = 0;
  std::uint64_t layer_ = 0;
};

}  // namespace reprise::engine
