// Where gradients of parameters go at the moment a backward pass has them.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <cstddef>

namespace reprise::engine {

// Takes the gradients of one backward pass, each as soon as it is complete, so that it can be added
// to others while it is in the cache and its memory serves the next one; on a GPU, as soon as the
// device has been asked for it. Comes from one thread: the one that asked for the pass or, on a
// GPU, one of LibTorch's. `parameter` is an index of the layout; a parameter that plays no part in
// the loss does not come. The tensor may share memory with others: it is not to be written.
class GradientSink {
 public:
  virtual ~GradientSink() = default;
  virtual void take(std::size_t parameter, const at::Tensor& gradient) = 0;
};

// While it lives, what the backward passes that this thread asks for find for parameters of Weights
// that require gradients goes to `sink`, and autograd hands on zeros in its place. Null: it stays
// with autograd, as without a scope. LibTorch takes the scope along into threads of its own.
class GradientScope {
 public:
  explicit GradientScope(GradientSink* sink);
  ~GradientScope();
  GradientScope(const GradientScope&) = delete;
  GradientScope& operator=(const GradientScope&) = delete;

 private:
  c10::DebugInfoGuard guard_;
};

// Has `tensor`, the leaf that stands for `parameter` and requires gradients, report to the scope
// of the pass. Once a tensor.
void report_gradients(const at::Tensor& tensor, std::size_t parameter);

}  // namespace reprise::engine
