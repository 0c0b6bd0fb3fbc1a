// What the leaves of an update leave behind beside gradients: small numbers, read all at once.
#pragma once

#include "engine/models/pass.h"
#include "engine/weights/layout.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace reprise::engine {

// Losses and BatchNorm's statistics stay where they were computed until the device has been given
// the work of all leaves: a read in between would leave it idle until the host has given it more.
// Holds scalars and statistics, no graphs.
class LeafRecords {
 public:
  // `networks`: how many sets of statistics a leaf has.
  LeafRecords(std::shared_ptr<const Layout> layout, std::size_t networks, std::uint64_t leaves);

  // float64 numbers of a leaf: its loss, then Layout::moment_elements() a network.
  std::size_t record_elements() const { return record_elements_; }

  // `loss`: a scalar. `moments`: one a network. Once a leaf and update; safe from several threads,
  // for different leaves.
  void put(std::uint64_t leaf, const at::Tensor& loss, std::vector<Moments> moments);

  // The records of all leaves, in order; waits for the device once. Then, as after clear(), nothing
  // is held.
  std::vector<double> take();
  void clear();

 private:
  struct Leaf {
    at::Tensor loss;  // float64 []
    std::vector<Moments> moments;
  };

  std::shared_ptr<const Layout> layout_;
  std::size_t record_elements_;
  std::vector<Leaf> leaves_;
};

}  // namespace reprise::engine
