// Adds the gradients of leaves in the fixed tree as they become ready.
#pragma once

#include "engine/weights/layout.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace reprise::engine {

// Sums every trainable parameter of a layout over the leaves of this process. A sum depends on the
// leaves' values and their number alone, not on the order in which they arrive. Additions happen
// in the thread that brings the later half of a pair, one parameter at a time, while the halves
// are in the cache. Whoever sums over processes can begin with what is finished: see wait_for().
class GradientTree {
 public:
  // `extra_elements` float32 numbers ride along behind the parameters.
  GradientTree(std::shared_ptr<const Layout> layout, std::int64_t extra_elements,
               c10::Device device, std::uint64_t leaves);
  ~GradientTree();
  GradientTree(const GradientTree&) = delete;
  GradientTree& operator=(const GradientTree&) = delete;

  // `parameter`, an index of the layout, of one leaf; undefined: zeros. Each leaf brings each
  // trainable parameter once, and extra() if there is one. `gradient` is not written to. Safe from
  // several threads.
  void add(std::uint64_t leaf, std::size_t parameter, const at::Tensor& gradient);
  void add_extra(std::uint64_t leaf, const at::Tensor& extra);

  // sum() falls into so many stretches of several megabytes, cut at the borders of parameters and
  // numbered in the order in which a backward pass finishes them, the last parameters first. Equal
  // for equal layouts.
  std::size_t pieces() const;
  // Returns that stretch, float32 [elements], once it is final; nothing: it never will be, since
  // give_up() was called. It may be written to: the sum over processes takes its place.
  std::optional<at::Tensor> wait_for(std::size_t piece) const;
  void give_up();

  // The sum, flat: [layout.flat_elements() + extra]. Valid until reset(). Errors: kInternal
  // before all leaves are there.
  const at::Tensor& sum() const;
  // Makes ready for the next update, whatever is there. Nobody may be waiting.
  void reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reprise::engine
