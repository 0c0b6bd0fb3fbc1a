// Where gradients of parameters go at the moment a backward pass has them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>

namespace reprise::engine {

// Takes the gradients of one backward pass on the CPU, each as soon as it is complete, in the
// thread of that pass, so that it can be added to others while it is in the cache and its memory
// serves the next one. `parameter` is an index of the layout; a parameter that plays no part in
// the loss does not come. The tensor may share memory with others: it is not to be written.
class GradientSink {
 public:
  virtual ~GradientSink() = default;
  virtual void take(std::size_t parameter, const at::Tensor& gradient) = 0;
};

// While it lives, what backward passes of this thread find for parameters of Weights that require
// gradients goes to `sink`, and autograd hands on zeros in its place. Null: it stays with autograd,
// as without a scope and as in backward passes on a GPU, which LibTorch runs in threads of its own.
class GradientScope {
 public:
  explicit GradientScope(GradientSink* sink);
  ~GradientScope();
  GradientScope(const GradientScope&) = delete;
  GradientScope& operator=(const GradientScope&) = delete;

 private:
  GradientSink* before_;
};

// Has `tensor`, the leaf that stands for `parameter` and requires gradients, report to the scope
// of its thread. Once a tensor.
void report_gradients(const at::Tensor& tensor, std::size_t parameter);

}  // namespace reprise::engine
