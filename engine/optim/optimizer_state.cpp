// PyTorch's Optimizer.state_dict(): written and read.
#include "engine/optim/optimizer.h"

#include "ckpt/base/error.h"
#include "engine/torch_bridge/tensor.h"

#include <ATen/ATen.h>

#include <fmt/ranges.h>
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

namespace reprise::engine {
namespace {

[[noreturn]] void fail_kind(const std::string& place, std::string_view expected) {
  fail(Code::kCorrupt, "optimizer state: {} is not {}; load the weights alone with --load-from",
       place, expected);
}

// A count or rate: a number, or a tensor of one element, as PyTorch's versions differ.
std::optional<double> number_of(const Value* value) {
  if (value == nullptr) return std::nullopt;
  if (const auto number = value->if_number()) return number;
  const TensorNode* node = value->if_tensor();
  if (node == nullptr || node->tensor.elements() != 1) return std::nullopt;
  return copy_of(node->tensor).item<double>();
}

const Value* find_index(const DictNode& state, std::int64_t index) {
  if (const Value* found = state.find(Value::integer(index))) return found;
  return state.find(std::to_string(index));  // JSON and HDF5 have text keys only
}

std::vector<std::int64_t> indices_of(const DictNode& group, const std::string& place) {
  const Value* params = group.find("params");
  if (params == nullptr || !params->is_sequence()) fail_kind(place + ".params", "a list");
  std::vector<std::int64_t> indices;
  for (const Value& item : params->as_sequence().items) {
    const auto index = item.if_int();
    if (!index) fail_kind(place + ".params", "a list of parameter numbers");
    indices.push_back(*index);
  }
  return indices;
}

}  // namespace

Value Optimizer::state(Arena& arena) const {
  const Value states = arena.dict();
  const Value groups = arena.list();
  std::int64_t index = 0;
  for (const Group& group : groups_) {
    const Value shown = arena.dict();
    DictNode& keys = shown.as_dict();
    keys.append(arena, "lr", Value::real(last_.lr * group.lr_factor));
    keys.append(arena, "weight_decay", Value::real(group.decays ? last_.weight_decay : 0));
    describe_group(arena, keys);
    const Value params = arena.list();
    for (const std::size_t parameter : group.parameters) {
      params.as_sequence().items.push_back(arena, Value::integer(index));
      if (parameter_steps_[parameter] > 0) {
        const ParameterSpec& spec = layout_->parameters()[parameter];
        const Value one = arena.dict();
        if (counts_steps()) {
          const at::Tensor step =
              at::scalar_tensor(static_cast<double>(parameter_steps_[parameter]), at::kFloat);
          one.as_dict().append(arena, "step", arena.tensor(view_of(step)));
        }
        for (const auto& [slot, values] : slots_) {
          const at::Tensor part = values.narrow(0, spec.offset, spec.elements).view(spec.shape);
          one.as_dict().append(arena, slot, arena.tensor(view_of(part)));
        }
        states.as_dict().append(arena, Value::integer(index), one);
      }
      ++index;
    }
    keys.append(arena, "params", params);
    groups.as_sequence().items.push_back(arena, shown);
  }
  const Value whole = arena.dict();
  whole.as_dict().append(arena, "state", states);
  whole.as_dict().append(arena, "param_groups", groups);
  return whole;
}

void Optimizer::load(Value state) {
  const DictNode* whole = state.if_dict();
  const Value* states = whole == nullptr ? nullptr : whole->find("state");
  const Value* groups = whole == nullptr ? nullptr : whole->find("param_groups");
  if (states == nullptr || states->if_dict() == nullptr || groups == nullptr ||
      !groups->is_sequence()) {
    fail_kind("it", "a dict of state and param_groups");
  }
  const auto& group_list = groups->as_sequence().items;
  if (group_list.size() != groups_.size()) {
    fail(Code::kMismatch,
         "the optimizer state has {} parameter groups, this run {}: other --lr factors, another "
         "optimizer or weight-decay rule; use the settings of that run or --load-from",
         group_list.size(), groups_.size());
  }
  // Everything is read before anything is changed.
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  std::vector<std::uint64_t> steps(parameter_steps_.size(), 0);
  StepOptions last = last_;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const std::string place = fmt::format("param_groups[{}]", g);
    const DictNode* group = group_list[g].if_dict();
    if (group == nullptr) fail_kind(place, "a dict");
    const auto indices = indices_of(*group, place);
    if (indices.size() != groups_[g].parameters.size()) {
      fail(
          Code::kMismatch,
          "optimizer state: {} has {} parameters, the network {}; check --arch, or use --load-from",
          place, indices.size(), groups_[g].parameters.size());
    }
    if (const auto lr = number_of(group->find("lr")); lr && groups_[g].lr_factor != 0) {
      last.lr = *lr / groups_[g].lr_factor;
    }
    if (const auto decay = number_of(group->find("weight_decay")); decay && groups_[g].decays) {
      last.weight_decay = *decay;
    }
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const ParameterSpec& spec = layout_->parameters()[groups_[g].parameters[i]];
      const Value* found = find_index(states->as_dict(), indices[i]);
      if (found == nullptr) continue;
      const DictNode* entry = found->if_dict();
      if (entry == nullptr) fail_kind(fmt::format("state[{}]", indices[i]), "a dict");
      // SGD's state does not count; that there is some says that the first step is behind.
      steps[groups_[g].parameters[i]] = 1;
      if (counts_steps()) {
        const auto step = number_of(entry->find("step"));
        if (!step || !(*step >= 0 && *step < 1e15)) {
          fail_kind(fmt::format("state[{}].step", indices[i]), "a count of steps");
        }
        steps[groups_[g].parameters[i]] = static_cast<std::uint64_t>(*step);
      }
      for (const auto& [slot, values] : slots_) {
        const Value* value = entry->find(slot);
        // SGD without momentum keeps None there.
        if (value != nullptr && value->is_none()) continue;
        const TensorNode* node = value == nullptr ? nullptr : value->if_tensor();
        if (node == nullptr) {
          fail(Code::kMismatch,
               "the optimizer state has no {} for {}: it belongs to another optimizer than {}; set "
               "--optimizer, or use --load-from",
               slot, spec.name, options_.name);
        }
        if (node->tensor.shape() != spec.shape) {
          fail(Code::kMismatch, "optimizer state: {} of {} has shape [{}], expected [{}]", slot,
               spec.name, fmt::join(node->tensor.shape(), ", "), fmt::join(spec.shape, ", "));
        }
        copies.emplace_back(values.narrow(0, spec.offset, spec.elements),
                            copy_of(node->tensor).flatten());
      }
    }
  }
  for (const auto& [name, values] : slots_) values.zero_();
  for (const auto& [target, source] : copies) target.copy_(source);
  steps_ = steps.empty() ? 0 : *std::ranges::max_element(steps);
  parameter_steps_ = std::move(steps);
  last_ = last;
}

}  // namespace reprise::engine
