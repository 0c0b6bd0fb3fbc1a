#include "engine/weights/gradient_sink.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <memory>

namespace reprise::engine {
namespace {

// LibTorch's way to tell its lower levels something of the higher ones: what a thread says here,
// the threads that do its backward passes know. This kind of it LibTorch has no use for itself.
constexpr c10::DebugInfoKind kKind = c10::DebugInfoKind::PRODUCER_INFO;

struct Destination : c10::DebugInfoBase {
  explicit Destination(GradientSink* to) : sink(to) {}
  GradientSink* sink;
};

GradientSink* current_sink() {
  const auto* destination = static_cast<const Destination*>(c10::ThreadLocalDebugInfo::get(kKind));
  return destination == nullptr ? nullptr : destination->sink;
}

// Of a gradient's shape in the memory of one number.
at::Tensor placeholder(const at::Tensor& gradient) {
  return at::zeros({1}, gradient.options()).expand(gradient.sizes());
}

}  // namespace

GradientScope::GradientScope(GradientSink* sink)
    : guard_(kKind, std::make_shared<Destination>(sink)) {}

GradientScope::~GradientScope() = default;

void report_gradients(const at::Tensor& tensor, std::size_t parameter) {
  tensor.register_hook([parameter](const at::Tensor& gradient) {
    // An undefined tensor leaves the gradient as it is.
    GradientSink* const sink = current_sink();
    if (sink == nullptr) return at::Tensor();
    // What the sink does is no op of the pass.
    const at::DisableRecordFunctionGuard untraced;
    sink->take(parameter, gradient);
    return placeholder(gradient);
  });
}

}  // namespace reprise::engine
