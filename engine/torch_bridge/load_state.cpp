#include "engine/torch_bridge/load_state.h"

#include "ckpt/base/error.h"
#include "engine/torch_bridge/tensor.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace reprise::engine {
namespace {

void list_names(std::string& text, std::string_view what, const std::vector<std::string>& names,
                std::size_t limit) {
  if (names.empty()) return;
  text += fmt::format("\n  {} {}:", names.size(), what);
  for (std::size_t i = 0; i < std::min(limit, names.size()); ++i) {
    text += " " + printable(names[i]);
  }
  if (names.size() > limit) text += " ...";
}

}  // namespace

std::string KeyReport::text(std::size_t limit) const {
  std::string text = fmt::format("{} tensors fit", loaded.size());
  list_names(text, "missing (in the network only)", missing, limit);
  list_names(text, "unexpected (in the checkpoint only)", unexpected, limit);
  for (std::size_t i = 0; i < std::min(limit, mismatched.size()); ++i) {
    const Mismatch& one = mismatched[i];
    text +=
        fmt::format("\n  {}: shape [{}] in the checkpoint, [{}] in the network",
                    printable(one.name), fmt::join(one.found, ", "), fmt::join(one.expected, ", "));
  }
  if (mismatched.size() > limit) {
    text += fmt::format("\n  {} more shapes differ", mismatched.size() - limit);
  }
  list_names(text, "adapted to another shape", adapted, limit);
  return text;
}

KeyReport load_state(const StateDict& source, const std::vector<NamedTensor>& targets, bool strict,
                     const Adapt& adapt) {
  KeyReport report;
  std::unordered_set<std::string_view> known;
  std::vector<std::pair<const NamedTensor*, const Tensor*>> direct;
  std::vector<std::pair<const NamedTensor*, at::Tensor>> adapted;
  for (const NamedTensor& target : targets) {
    known.insert(target.name);
    const Tensor* found = source.find(target.name);
    if (found == nullptr) {
      report.missing.push_back(target.name);
      continue;
    }
    if (at::IntArrayRef(found->shape()) == target.tensor.sizes()) {
      direct.emplace_back(&target, found);
      report.loaded.push_back(target.name);
      continue;
    }
    at::Tensor changed;
    if (adapt) changed = adapt(target.name, copy_of(*found), target.tensor.sizes());
    if (!changed.defined()) {
      report.mismatched.push_back({target.name, found->shape(), target.tensor.sizes().vec()});
      continue;
    }
    adapted.emplace_back(&target, std::move(changed));
    report.loaded.push_back(target.name);
    report.adapted.push_back(target.name);
  }
  for (const auto& [name, tensor] : source) {
    if (!known.contains(name)) report.unexpected.push_back(name);
  }
  if (strict && !report.fits()) {
    fail(Code::kMismatch,
         "the weights do not fit the network: {}\nTake a checkpoint of this network; ckpt ls says "
         "what a file holds",
         report.text());
  }
  for (const auto& [target, tensor] : direct) {
    try {
      copy_into(*tensor, target->tensor);
    } catch (const Error& error) {
      throw error.at(printable(target->name));
    }
  }
  const at::NoGradGuard no_gradients;
  for (const auto& [target, tensor] : adapted) target->tensor.detach().copy_(tensor);
  return report;
}

StateDict state_of(const std::vector<NamedTensor>& tensors) {
  StateDict state;
  for (const NamedTensor& item : tensors) state.append(item.name, view_of(item.tensor));
  return state;
}

}  // namespace reprise::engine
