// The numbers of a network: parameters in one flat buffer, and BatchNorm's running statistics.
#pragma once

#include "ckpt/state/state_dict.h"
#include "engine/torch_bridge/load_state.h"
#include "engine/weights/layout.h"
#include "engine/workers/worker_pool.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace reprise::engine {

// A network is a pure function of weights and input, so student, teacher and EMA are several
// Weights of one network. Parameters are views of flat(); shared by all threads that compute
// shards, and written only between updates. Movable; copies are made by clone().
class Weights {
 public:
  // All zeros. `layout` is kept.
  explicit Weights(std::shared_ptr<const Layout> layout, c10::Device device = c10::kCPU);
  // As each parameter's Init says, by (seed, parameter name): the same on any number of threads,
  // of which it uses `jobs`, one a core for 0.
  static Weights initialised(std::shared_ptr<const Layout> layout, std::uint64_t seed,
                             c10::Device device = c10::kCPU, unsigned jobs = 1);
  // Same values in memory of its own.
  Weights clone() const;

  const Layout& layout() const { return *layout_; }
  const std::shared_ptr<const Layout>& shared_layout() const { return layout_; }
  // float32 [layout().flat_elements()]; padding is zero and stays so.
  const at::Tensor& flat() const { return flat_; }
  // A view of flat(); while it is Arranged, a convolution's kernel is a copy.
  const at::Tensor& parameter(std::size_t index) const {
    return arranged_ && kernels_[index].defined() ? kernels_[index] : parameters_[index];
  }
  const std::vector<at::Tensor>& parameters() const { return parameters_; }
  const at::Tensor& buffer(std::size_t index) const { return buffers_[index]; }
  const std::vector<at::Tensor>& buffers() const { return buffers_; }

  // With true, trainable parameters ask autograd for gradients: the weights that learn. They go to
  // the GradientScope of the backward pass.
  void require_gradients(bool on);

  // While it lives, kernels of convolutions are copies whose channels lie together, as oneDNN
  // computes with them: made once an update, not once a shard and pass. They ask for gradients as
  // the parameters do. On the CPU; elsewhere it does nothing. flat() must not change meanwhile.
  class Arranged {
   public:
    Arranged(Weights& weights, WorkerPool& pool);
    ~Arranged() { weights_.arranged_ = false; }
    Arranged(const Arranged&) = delete;
    Arranged& operator=(const Arranged&) = delete;

   private:
    Weights& weights_;
  };

  // Parameters and buffers by name, in state-dict order (torchvision's: a layer's parameters,
  // then its buffers), restricted to names starting with `prefix`, which is kept.
  std::vector<NamedTensor> named(std::string_view prefix = {}) const;

 private:
  std::shared_ptr<const Layout> layout_;
  at::Tensor flat_;
  std::vector<at::Tensor> parameters_;
  std::vector<at::Tensor> buffers_;
  std::vector<at::Tensor> kernels_;  // undefined: not arranged; kept from update to update
  bool arranged_ = false;
  bool reporting_ = false;
};

}  // namespace reprise::engine
