#include "migrate/steps/head_architecture.h"

#include "ckpt/base/error.h"
#include "migrate/steps/plain_value.h"

namespace reprise::migrate {

void settle_head_architecture(Draft& draft, const UpgradeOptions& options) {
  const Value found = plain_value(draft.arena(), draft.get("arch_head")).value;
  if (found.is_string()) {
    const std::string name(found.as_string());
    const std::string now = name == "SimpleLinearClassifier" ? "SimpleRegressionHead" : name;
    if (options.arch_head && *options.arch_head != now) {
      fail(Code::kMismatch, "the file says arch_head is {}, --arch-head says {}",
           printable(now, 80), *options.arch_head);
    }
    if (now != name) draft.note(fmt::format("arch_head: {} is called {} today", name, now));
    draft.set("arch_head", now);
    return;
  }
  if (options.arch_head) {
    draft.set("arch_head", *options.arch_head);
    draft.note("arch_head: none in the file; given as " + *options.arch_head);
    return;
  }
  const DictNode* head = draft.get("head").if_dict();
  if (head == nullptr) return;
  const bool simple = head->contains("linear.weight") || head->contains("module.linear.weight");
  const std::string_view name = simple ? "SimpleRegressionHead" : "RegressionHead";
  draft.set("arch_head", name);
  draft.note(fmt::format("arch_head: none in the file; the head's keys say {}", name));
}

}  // namespace reprise::migrate
