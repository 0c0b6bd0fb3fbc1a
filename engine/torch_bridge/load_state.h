// State dicts into tensors of a network, with a report of what did not fit.
#pragma once

#include "ckpt/state/state_dict.h"

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::engine {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

// Which keys of a checkpoint met which tensors of a network.
struct KeyReport {
  struct Mismatch {
    std::string name;
    Shape found;     // in the checkpoint
    Shape expected;  // in the network
  };
  std::vector<std::string> loaded;
  std::vector<std::string> missing;     // in the network, not in the checkpoint: left as they are
  std::vector<std::string> unexpected;  // in the checkpoint, not in the network
  std::vector<Mismatch> mismatched;     // left as they are
  std::vector<std::string> adapted;     // loaded after a change of shape (position embedding)

  bool fits() const { return missing.empty() && unexpected.empty() && mismatched.empty(); }
  // Lines for the log: counts, then at most `limit` names of each kind.
  std::string text(std::size_t limit = 10) const;
};

// Changes a tensor of another shape into the one expected, or returns an undefined tensor.
using Adapt = std::function<at::Tensor(std::string_view name, const at::Tensor& found,
                                       at::IntArrayRef shape)>;

// Copies values by name. Everything is compared first; with `strict` and something that does
// not fit, nothing has been written when it throws. Tensors count as read: kCorrupt surfaces here.
// Errors: kMismatch holding the report's text; those of copy_into.
KeyReport load_state(const StateDict& source, const std::vector<NamedTensor>& targets, bool strict,
                     const Adapt& adapt = {});

// Views, in order. See view_of for what later writes do.
StateDict state_of(const std::vector<NamedTensor>& tensors);

}  // namespace reprise::engine
