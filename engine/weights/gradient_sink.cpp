#include "engine/weights/gradient_sink.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

namespace reprise::engine {
namespace {

thread_local GradientSink* sink_of_thread = nullptr;

// Of a gradient's shape in the memory of one number.
at::Tensor placeholder(const at::Tensor& gradient) {
  return at::zeros({1}, gradient.options()).expand(gradient.sizes());
}

}  // namespace

GradientScope::GradientScope(GradientSink* sink) : before_(sink_of_thread) {
  sink_of_thread = sink;
}

GradientScope::~GradientScope() { sink_of_thread = before_; }

void report_gradients(const at::Tensor& tensor, std::size_t parameter) {
  tensor.register_hook([parameter](const at::Tensor& gradient) {
    // An undefined tensor leaves the gradient as it is.
    if (sink_of_thread == nullptr) return at::Tensor();
    // What the sink does is no op of the pass.
    const at::DisableRecordFunctionGuard untraced;
    sink_of_thread->take(parameter, gradient);
    return placeholder(gradient);
  });
}

}  // namespace reprise::engine
