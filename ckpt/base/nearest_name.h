// "did you mean": the known name nearest to a mistyped one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace reprise {

// The name in `known` with the smallest edit distance (Levenshtein, one swap of
// neighbours counts one) to `name`, if it is at most a third of its length away.
std::optional<std::string> nearest_name(std::string_view name, std::span<const std::string> known);

}  // namespace reprise
