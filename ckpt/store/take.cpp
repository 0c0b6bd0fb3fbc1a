#include "ckpt/store/take.h"

#include "ckpt/base/error.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace reprise::store {

namespace {

constexpr std::string_view kBackbonePrefix = "backbone.";
constexpr std::string_view kHeadPrefix = "head.";

// A dino file may hold one of the two networks only.
const StateDict& dino_network(const Checkpoint& checkpoint) {
  return checkpoint.teacher.empty() ? checkpoint.student : checkpoint.teacher;
}

StateDict part_of(const Checkpoint& checkpoint, const StateDict& own, std::string_view prefix) {
  if (checkpoint.type == CheckpointType::kSupervised) return own;
  if (checkpoint.type == CheckpointType::kDino)
    return dino_network(checkpoint).strip_prefix(prefix);
  return checkpoint.model.strip_prefix(prefix);
}

// Under the network's own names, which whoever builds that network loads. Files of other writers
// may use a name in both parts: there the parts say whose it is.
StateDict joined(const StateDict& backbone, const StateDict& head) {
  const bool ambiguous = std::ranges::any_of(
      head, [&](const auto& item) { return backbone.find(item.first) != nullptr; });
  StateDict whole;
  for (const auto& [prefix, part] :
       {std::pair(kBackbonePrefix, &backbone), std::pair(kHeadPrefix, &head)}) {
    for (const auto& [name, tensor] : *part)
      whole.append(ambiguous ? std::string(prefix) + name : name, tensor);
  }
  return whole;
}

StateDict whole_network(const Checkpoint& checkpoint) {
  switch (checkpoint.type) {
    case CheckpointType::kModel: return checkpoint.model;
    case CheckpointType::kDino: return dino_network(checkpoint);
    case CheckpointType::kSupervised: break;
  }
  // A head alone is no network: its backbone is another checkpoint's.
  if (checkpoint.backbone.empty()) return {};
  return joined(checkpoint.backbone, checkpoint.head);
}

StateDict named(const Checkpoint& checkpoint, std::string_view take) {
  if (take == "teacher") return checkpoint.teacher;
  if (take == "student") return checkpoint.student;
  if (take == "ema") return checkpoint.ema;
  if (take == "backbone") return part_of(checkpoint, checkpoint.backbone, kBackbonePrefix);
  if (take == "head") return part_of(checkpoint, checkpoint.head, kHeadPrefix);
  if (take == "model") return whole_network(checkpoint);
  fail(Code::kUsage, "'{}' names no weights; use one of {}", printable(take, 40),
       fmt::join(take_names(), ", "));
}

}  // namespace

std::span<const std::string> take_names() {
  static const std::vector<std::string> names = {"teacher", "student", "backbone",
                                                 "head",    "ema",     "model"};
  return names;
}

StateDict take_weights(const Checkpoint& checkpoint, std::string_view take,
                       std::string_view strip_prefix) {
  StateDict weights = named(checkpoint, take);
  if (weights.empty()) {
    std::vector<std::string> available;
    for (const std::string& name : take_names()) {
      if (!named(checkpoint, name).empty()) available.push_back(name);
    }
    fail(Code::kMismatch, "this {} checkpoint has no {}; it has {}", to_string(checkpoint.type),
         take, fmt::join(available, ", "));
  }
  if (strip_prefix.empty()) return weights;
  StateDict stripped = weights.strip_prefix(strip_prefix);
  if (stripped.empty()) {
    fail(Code::kMismatch, "no key of {} starts with '{}'; the first one is '{}'", take,
         printable(strip_prefix, 80), printable(weights.begin()->first));
  }
  return stripped;
}

}  // namespace reprise::store
