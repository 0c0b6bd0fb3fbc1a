#include "ckpt/base/error.h"
#include "migrate/steps/draft.h"
#include "migrate/steps/head_architecture.h"
#include "migrate/steps/identity.h"
#include "migrate/steps/plain_value.h"
#include "migrate/steps/settle_state.h"
#include "migrate/steps/step.h"

#include <algorithm>
#include <array>

namespace reprise::migrate {

namespace {

constexpr std::array<std::string_view, 16> kKeys = {
    "version",  "type", "epoch", "uuid",          "arch",   "arch_head", "student",   "teacher",
    "backbone", "head", "model", "uuid_backbone", "config", "metrics",   "optimizer", "loss_func"};
constexpr std::array<std::string_view, 5> kParts = {"student", "teacher", "backbone", "head",
                                                    "model"};

bool belongs(std::string_view part, std::string_view type) {
  if (type == "dino") return part == "student" || part == "teacher";
  if (type == "supervised") return part == "backbone" || part == "head";
  return part == "model";
}

// Names are plain text in version 5; enum members stood there once.
void settle_names(Draft& draft) {
  for (const std::string_view key :
       {"type", "arch", "arch_head", "uuid", "uuid_backbone", "epoch"}) {
    const Value value = draft.get(key);
    if (value.is_none()) {
      draft.take(key);  // None-valued keys are dropped, as version 5's writer does
      continue;
    }
    const PlainValue plain = plain_value(draft.arena(), value);
    if (plain.changed == 0) continue;
    draft.set(key, plain.value);
    draft.note(fmt::format("{}: made plain", key));
  }
}

void settle_architecture(Draft& draft, const UpgradeOptions& options) {
  if (!options.arch) return;
  const auto found = draft.get("arch").if_string();
  if (found && *found != *options.arch) {
    fail(Code::kMismatch, "the file says arch is {}, --arch says {}", printable(*found, 80),
         *options.arch);
  }
  if (!found) draft.note("arch: none in the file; given as " + *options.arch);
  draft.set("arch", *options.arch);
}

}  // namespace

StepResult bring_to_normal_form(const Document& document, const UpgradeOptions& options) {
  Draft draft(document);
  settle_names(draft);
  settle_architecture(draft, options);
  const std::string type(draft.get("type").if_string().value_or(""));
  std::vector<std::string_view> known(kKeys.begin(), kKeys.end());
  known.push_back("reprise");
  for (const std::string_view part : kParts) {
    if (belongs(part, type)) {
      settle_state_dict(draft, part);
    } else if (draft.get(part).is_none()) {
      draft.take(part);
    } else {
      std::erase(known, part);  // a part of another type is kept, as unmapped
    }
  }
  if (type == "supervised") settle_head_architecture(draft, options);
  if (type == "supervised" && draft.root().contains("backbone") &&
      draft.root().contains("uuid_backbone")) {
    draft.keep_detail("uuid_backbone", draft.take("uuid_backbone"));
    draft.note("uuid_backbone: the backbone itself is in the file; the UUID is kept as a detail");
  }
  draft.keep_unknown_keys(known);
  settle_optimizer(draft);
  settle_loss(draft);
  settle_json(draft);
  if (!draft.root().contains("epoch")) {
    draft.mark_unknown("epoch");
    draft.set("epoch", Value::integer(0));
  }
  if (!draft.root().contains("uuid")) give_derived_uuid(draft, options);
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace reprise::migrate
