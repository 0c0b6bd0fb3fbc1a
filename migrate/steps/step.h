// What one step of the chain is.
#pragma once

#include "ckpt/state/value.h"
#include "migrate/steps/upgrade.h"

#include <string>
#include <utility>
#include <vector>

namespace reprise::migrate {

struct StepResult {
  Document document;
  std::vector<std::string> changed;
};

// From version N to N + 1. Once released, a step never changes: files that went
// through it are out there.
using Step = StepResult (*)(const Document& document, const UpgradeOptions& options);

StepResult identify(const Document& document, const UpgradeOptions& options);           // 0 -> 1
StepResult make_values_plain(const Document& document, const UpgradeOptions& options);  // 1 -> 2
StepResult merge_head_and_backbone(const Document& document,
                                   const UpgradeOptions& options);                     // 2 -> 3
StepResult settle_metrics(const Document& document, const UpgradeOptions& options);    // 3 -> 4
StepResult make_state_dicts(const Document& document, const UpgradeOptions& options);  // 4 -> 5

// Version 5 as its readers expect it, for documents that come from steps, from
// dialects or from other writers: state dicts hold dense tensors only, without
// DDP's "module." prefix; everything else is kept elsewhere. Idempotent.
StepResult bring_to_normal_form(const Document& document, const UpgradeOptions& options);

}  // namespace reprise::migrate
