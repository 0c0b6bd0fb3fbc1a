// The graph of saves as SVG inside a page.
#pragma once

#include "ckpt/store/lineage.h"

#include <map>
#include <string>

namespace reprise::report {

// Boxes from the oldest above to the newest below, arrows from parent to child with the relation.
// Saves of one run with the same parents and no children share a box. Missing files are dashed.
// `names`: what runs are called. At most 150 boxes are drawn; the text says so.
// Empty for a graph without nodes.
std::string lineage_svg(const store::LineageGraph& graph, const std::map<Uuid, std::string>& names);

}  // namespace reprise::report
