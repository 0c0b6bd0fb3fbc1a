#include "train/adopt.h"

#include "ckpt/base/error.h"
#include "experiment/option_table.h"

#include <algorithm>
#include <optional>

namespace reprise::train {
namespace {

bool is_choice(std::string_view key, const std::string& word) {
  const experiment::OptionSpec* const spec = experiment::find_option(key);
  return spec != nullptr && std::ranges::find(spec->choices, word) != spec->choices.end();
}

// The update rule that has these keys; AdamW is an Adam that says so, or does not say (before
// PyTorch 2.7 they had the same keys), so that decay decides: Adam has none by default.
std::optional<std::string> rule_of(const DictNode& group) {
  if (group.find("betas") != nullptr) {
    if (const Value* decoupled = group.find("decoupled_weight_decay")) {
      return decoupled->if_bool().value_or(false) ? "adamw" : "adam";
    }
    const Value* decay = group.find("weight_decay");
    return decay != nullptr && decay->if_number().value_or(0) > 0 ? "adamw" : "adam";
  }
  if (group.find("momentum") != nullptr && group.find("nesterov") != nullptr) return "sgd";
  return std::nullopt;
}

}  // namespace

experiment::OptionLayer options_of_foreign(const Checkpoint& checkpoint, const std::string& place) {
  Json options = Json::object();
  if (is_choice("arch", checkpoint.arch)) options["arch"] = checkpoint.arch;
  const DictNode* const state = checkpoint.optimizer.if_dict();
  const Value* const groups = state == nullptr ? nullptr : state->find("param_groups");
  if (groups != nullptr && groups->is_sequence() && !groups->as_sequence().items.empty()) {
    const auto& list = groups->as_sequence().items;
    if (list.size() == 1) options["decay-all"] = true;
    if (const DictNode* group = list[0].if_dict()) {
      if (const auto rule = rule_of(*group)) options["optimizer"] = *rule;
      const auto take = [&](std::string_view key, const char* option) {
        const Value* value = group->find(key);
        if (value == nullptr) return;
        if (const auto found = value->if_number()) options[option] = *found;
      };
      // A scheduler keeps what it started from beside what it made of it.
      take("lr", "lr");
      take("initial_lr", "lr");
      take("weight_decay", "weight-decay");
      take("momentum", "momentum");
      take("eps", "eps");
      if (const Value* nesterov = group->find("nesterov"); nesterov && nesterov->if_bool())
        options["nesterov"] = *nesterov->if_bool();
      const Value* betas = group->find("betas");
      if (betas != nullptr && betas->is_sequence() && betas->as_sequence().items.size() == 2) {
        const auto& pair = betas->as_sequence().items;
        if (const auto first = pair[0].if_number()) options["beta1"] = *first;
        if (const auto second = pair[1].if_number()) options["beta2"] = *second;
      }
    }
  }
  return experiment::from_json(options, place).layer;
}

void adopt(Learner& learner, Mode& mode, const Checkpoint& checkpoint,
           std::uint64_t updates_per_epoch, std::uint64_t samples_per_update) {
  restore_tensors(learner, mode, checkpoint);
  learner.progress = {};
  learner.progress.epoch = checkpoint.resume_point()->epoch;
  learner.progress.update = learner.progress.epoch * updates_per_epoch;
  learner.progress.samples_seen = learner.progress.update * samples_per_update;
}

}  // namespace reprise::train
