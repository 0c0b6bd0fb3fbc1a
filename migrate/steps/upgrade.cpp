#include "migrate/steps/upgrade.h"

#include "ckpt/base/error.h"
#include "ckpt/state/checkpoint.h"
#include "migrate/steps/dialect.h"
#include "migrate/steps/draft.h"
#include "migrate/steps/hdf5_attributes.h"
#include "migrate/steps/step.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace reprise::migrate {

namespace {

struct ChainLink {
  int from;
  std::string_view name;
  Step step;
};

// One step a version, in order. A released step never changes.
constexpr std::array<ChainLink, 5> kChain = {{
    {0, "v0 -> v1: identify", identify},
    {1, "v1 -> v2: plain values", make_values_plain},
    {2, "v2 -> v3: merge head and backbone into supervised", merge_head_and_backbone},
    {3, "v3 -> v4: metrics", settle_metrics},
    {4, "v4 -> v5: state dicts and JSON", make_state_dicts},
}};

constexpr bool every_version_has_its_step() {
  if (kChain.size() != kSchemaVersion) return false;
  for (std::size_t i = 0; i < kChain.size(); ++i) {
    if (kChain[i].from != static_cast<int>(i)) return false;
  }
  return true;
}
static_assert(every_version_has_its_step(), "a schema version without its upgrade step");

// The version of one of this project's own files; nothing for everybody else's.
std::optional<int> own_version(const Document& document) {
  const DictNode* root = document.root.if_dict();
  if (root == nullptr) return std::nullopt;
  if (const Value* version = root->find("version")) {
    const auto number = version->if_int();
    if (!number || !root->contains("type")) return std::nullopt;
    if (*number > kSchemaVersion) {
      fail(Code::kUnsupported,
           "schema version {} is newer than {}, the newest this build knows; use a newer Reprise",
           *number, kSchemaVersion);
    }
    if (*number < 1)
      fail(Code::kCorrupt, "schema version {}, 1 to {} were expected", *number, kSchemaVersion);
    return static_cast<int>(*number);
  }
  // Version 0 wrote no version: known by its parts, and by `arch`, which it always has.
  const bool parts = root->get("backbone").is_dict() || root->get("head").is_dict() ||
                     (root->get("student").is_dict() && !kFacebookDino.fits(document.root, false));
  return parts && root->contains("arch") ? std::optional(0) : std::nullopt;
}

std::vector<const Dialect*> fitting(const Document& document, bool has_companion) {
  std::vector<const Dialect*> found;
  for (const Dialect& dialect : dialects()) {
    const bool groups = dialect.name == kGroups.name;
    if (groups && document.container != "hdf5-foreign") continue;
    const bool last_resort = groups || dialect.name == kPlain.name;
    if (last_resort && !found.empty()) continue;
    if (dialect.fits(document.root, has_companion)) found.push_back(&dialect);
  }
  return found;
}

std::string keys_of(const Document& document) {
  const DictNode* root = document.root.if_dict();
  if (root == nullptr) return "its top level is no dict";
  std::vector<std::string> keys;
  for (const DictEntry& entry : root->entries) {
    if (keys.size() == 12) {
      keys.emplace_back("...");
      break;
    }
    if (const auto key = entry.key.if_string()) keys.push_back(printable(*key, 40));
  }
  if (keys.empty()) return "it holds nothing under a name";
  return fmt::format("its keys: {}", fmt::join(keys, ", "));
}

const Dialect& choose_dialect(const Document& document, const UpgradeOptions& options) {
  const auto found = fitting(document, options.companion.has_value());
  if (options.dialect) {
    for (const Dialect& dialect : dialects()) {
      if (dialect.name != *options.dialect) continue;
      if (!dialect.fits(document.root, options.companion.has_value())) {
        fail(Code::kUsage, "the file is not of dialect {} ({})", *options.dialect,
             keys_of(document));
      }
      return dialect;
    }
    fail(Code::kUsage, "no dialect is called '{}'; there are {}", *options.dialect,
         fmt::join(dialect_names(), ", "));
  }
  if (found.empty()) {
    fail(Code::kUnsupported,
         "no checkpoint that is known here ({}); `ckpt tree` shows what is in it",
         keys_of(document));
  }
  if (found.size() > 1) {
    std::vector<std::string_view> names;
    for (const Dialect* dialect : found) names.push_back(dialect->name);
    fail(Code::kUsage, "the content fits several dialects: {}; say which with --dialect",
         fmt::join(names, ", "));
  }
  return *found.front();
}

void run(Upgraded& result, std::string_view name, const StepResult& outcome, bool report_always) {
  if (report_always || !outcome.changed.empty())
    result.steps.push_back({std::string(name), outcome.changed});
  result.document = outcome.document;
}

void note_source(Upgraded& result) {
  if (result.schema == kSchemaVersion) return;
  Draft draft(result.document);
  if (result.schema) draft.set_source("schema", Value::integer(*result.schema));
  if (result.dialect) draft.set_source("dialect", draft.arena().string(*result.dialect));
  result.document = draft.finish();
}

void list_unmapped(Upgraded& result) {
  const Value additions = result.document.root.as_dict().get("reprise");
  const DictNode* unmapped =
      additions.is_dict() ? additions.as_dict().get("unmapped").if_dict() : nullptr;
  if (unmapped == nullptr) return;
  for (const DictEntry& entry : unmapped->entries)
    result.unmapped.emplace_back(entry.key.as_string());
}

}  // namespace

Upgraded upgrade(const Document& original, const UpgradeOptions& options) {
  Upgraded result;
  const LiftedAttributes lifted = lift_attributes(original);
  const Document& document = lifted.document;
  result.document = document;
  if (!options.dialect) result.schema = own_version(document);
  if (result.schema) {
    for (const ChainLink& link : kChain) {
      if (link.from >= *result.schema)
        run(result, link.name, link.step(result.document, options), true);
    }
  } else {
    const Dialect& dialect = choose_dialect(document, options);
    result.dialect = std::string(dialect.name);
    run(result, fmt::format("{} -> v5", dialect.name), dialect.adapt(document, options), true);
  }
  if (!lifted.attributes.empty())
    run(result, "HDF5 attributes", keep_attributes(result.document, lifted.attributes), true);
  run(result, "normal form", bring_to_normal_form(result.document, options), false);
  note_source(result);
  list_unmapped(result);
  return result;
}

std::vector<std::string> fitting_dialects(const Document& document, bool has_companion) {
  std::vector<std::string> names;
  if (own_version(document)) return names;
  for (const Dialect* dialect : fitting(document, has_companion)) names.emplace_back(dialect->name);
  return names;
}

std::vector<std::string> dialect_names() {
  std::vector<std::string> names;
  for (const Dialect& dialect : dialects()) names.emplace_back(dialect.name);
  return names;
}

}  // namespace reprise::migrate
