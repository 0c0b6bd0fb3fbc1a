// HDF5 attributes of other programs on their way into version 5, whose state dicts have no room
// for them.
#pragma once

#include "ckpt/state/value.h"
#include "migrate/steps/step.h"

#include <string>
#include <vector>

namespace reprise::migrate {

struct LiftedAttribute {
  std::string name;  // "model_weights/dense@weight_names", of the file itself "@model_config"
  Value value;
};

struct LiftedAttributes {
  Document document;  // without attributes; the original itself when it has none
  std::vector<LiftedAttribute> attributes;
};

// Takes the attributes of groups and tensors off a document that comes from another program's HDF5
// file; others pass as they are. An object with several names gives them under the first. The
// values stay in the original's arena, which the new document keeps alive. Cost: O(nodes).
LiftedAttributes lift_attributes(const Document& document);

// Puts them under reprise/unmapped, and says of which nothing but the name could be read.
StepResult keep_attributes(const Document& document, const std::vector<LiftedAttribute>& lifted);

}  // namespace reprise::migrate
