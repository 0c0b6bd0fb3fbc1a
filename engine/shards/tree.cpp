#include "engine/shards/tree.h"

namespace reprise::engine {

double tree_sum(std::span<const double> values) {
  if (values.empty()) return 0;
  if (values.size() == 1) return values[0];
  const std::uint64_t left = left_leaves(values.size());
  return tree_sum(values.first(left)) + tree_sum(values.subspan(left));
}

}  // namespace reprise::engine
