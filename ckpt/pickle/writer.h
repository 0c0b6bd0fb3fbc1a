// The pickle writer: what PyTorch, of any version since 1.6, reads as data.pkl.
#pragma once

#include "ckpt/state/value.h"

#include <string>
#include <vector>

namespace reprise::pickle {

// Who is to read the file.
enum class Loadable {
  kWeightsOnly,  // torch.load(weights_only=True), the default since 2.6
  kAnyPython,    // also what needs weights_only=False: numpy values, Namespaces, objects
};

struct Pickled {
  std::string bytes;  // protocol 2
  // What storage "0", "1", ... holds: the logical bytes of each.
  std::vector<Tensor> storages;
};

// Pickles a tree as torch.save does: dicts in order, shared and recursive objects by
// memo, tensors as calls that rebuild them over storages, which keep being shared. A
// storage that only one tensor looks at is cut down to that tensor. The same tree gives
// the same bytes. Does not recurse; reads no tensor.
// Errors: kUnsupported, naming what it is, for values that `loadable` or protocol 2 has
// no form for.
Pickled write(Value root, Loadable loadable = Loadable::kWeightsOnly);

}  // namespace reprise::pickle
