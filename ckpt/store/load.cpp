#include "ckpt/store/load.h"

#include "ckpt/base/error.h"
#include "ckpt/container/open.h"
#include "ckpt/store/companion.h"
#include "ckpt/store/reference.h"
#include "ckpt/store/weights_file.h"
#include "migrate/steps/upgrade.h"

namespace reprise::store {

namespace {

std::optional<std::string> if_given(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace

LoadedCheckpoint open_checkpoint(std::string_view path_or_reference, const LoadOptions& options) {
  LoadedCheckpoint loaded;
  loaded.path = resolve(path_or_reference);
  container::OpenOptions open;
  open.verify = options.verify ? container::Verify::kAll : container::Verify::kTouched;
  open.jobs = options.jobs;
  Document document = container::open(loaded.path, open);
  try {
    loaded.container = document.container;
    if (is_weights_file(document)) document = from_weights_file(document);
    migrate::UpgradeOptions upgrade;
    upgrade.dialect = if_given(options.dialect);
    upgrade.arch = if_given(options.arch);
    upgrade.arch_head = if_given(options.arch_head);
    upgrade.file_digest = [&] { return sha256_file(loaded.path); };
    upgrade.companion = open_companion(loaded.path);
    const migrate::Upgraded upgraded = migrate::upgrade(document, upgrade);
    loaded.schema = upgraded.schema.value_or(0);
    loaded.dialect = upgraded.dialect.value_or("");
    loaded.checkpoint = Checkpoint::from(upgraded.document);
  } catch (const Error& error) {
    throw error.at(loaded.path.native());
  }
  return loaded;
}

Checkpoint load(std::string_view path_or_reference, const LoadOptions& options) {
  return open_checkpoint(path_or_reference, options).checkpoint;
}

}  // namespace reprise::store
