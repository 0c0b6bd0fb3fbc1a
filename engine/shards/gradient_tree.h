// Adds the gradients of leaves in the fixed tree as they become ready.
#pragma once

#include "engine/weights/layout.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace reprise::engine {

// The sum depends on the leaves' values and their number alone, not on the order in which
// they arrive. Additions happen in the thread that brings the later half of a pair. Flat
// buffers are kept and used again from update to update.
class GradientTree {
 public:
  // `extra_elements` float32 numbers ride along behind the parameters.
  GradientTree(std::shared_ptr<const Layout> layout, std::int64_t extra_elements,
               c10::Device device, std::uint64_t leaves);
  ~GradientTree();
  GradientTree(const GradientTree&) = delete;
  GradientTree& operator=(const GradientTree&) = delete;

  // One tensor per trainable parameter, in layout order; undefined ones count as zeros.
  // `extra` may be undefined when there is none. Safe from several threads.
  void add(std::uint64_t leaf, std::vector<at::Tensor> gradients, at::Tensor extra);

  // The sum, flat: [layout.flat_elements() + extra]. Valid until reset(). Errors: kInternal
  // before all leaves are there.
  const at::Tensor& sum() const;
  // Makes ready for the next update, whatever is there.
  void reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reprise::engine
