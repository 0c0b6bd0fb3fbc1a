// A checkpoint as a .safetensors file: weights under the names that other tools
// expect, everything else that fits as text in `__metadata__`.
//
// The weights of a `model` have their bare names; those of other types are
// `student.`, `teacher.`, `backbone.` or `head.` and their name. The metadata holds
// "format": "pt", which other readers want, and "reprise.version" and further keys
// "reprise.<field>", from which the checkpoint is made again; "reprise.order" has the
// names in their order, because the format sorts them.
#pragma once

#include "ckpt/state/checkpoint.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace reprise::store {

struct WeightsFile {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::map<std::string, std::string> metadata;
};

// What of `checkpoint` can be in such a file; see losses() in save.h for the rest.
WeightsFile to_weights_file(const Checkpoint& checkpoint);

// Whether a document is a .safetensors file that to_weights_file() described.
bool is_weights_file(const Document& document);

// The version-5 document of such a file. Errors: kCorrupt naming the metadata key;
// kUnsupported when it was written by a newer version.
Document from_weights_file(const Document& document);

}  // namespace reprise::store
