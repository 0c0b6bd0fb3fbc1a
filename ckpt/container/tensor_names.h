// The slash path of every tensor in a document.
#pragma once

#include "ckpt/state/value.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::container {

struct NamedTensor {
  std::string name;  // "backbone/blocks.0.attn.qkv.weight", "optimizer/state/0/exp_avg"
  Tensor tensor;
};

// Every strided tensor in the tree, in the order of the document, under the name that
// a native file gives it (docs/checkpoint-format.md, Names): the keys on the way to
// it, joined by '/'. A tensor object that occurs twice has both names. Names are unique.
// Errors: kUnsupported when the tree is nested too deep, or too large (manifest.h).
std::vector<NamedTensor> name_tensors(const Document& document);

// A dict key as one component of a slash path: '/', '%', control characters and bytes
// that are not UTF-8 become %XX, as does an '@' in front; "" becomes "%", "." and ".."
// have their first dot escaped.
std::string escape_component(std::string_view key);

}  // namespace reprise::container
