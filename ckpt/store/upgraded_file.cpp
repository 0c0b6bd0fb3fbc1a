#include "ckpt/store/upgraded_file.h"

#include "ckpt/base/error.h"
#include "ckpt/container/open.h"
#include "ckpt/store/companion.h"
#include "ckpt/store/weights_file.h"

namespace reprise::store {

namespace {

std::optional<std::string> if_given(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace

UpgradedFile open_upgraded(const std::filesystem::path& path, const LoadOptions& options) {
  UpgradedFile file;
  file.path = path;
  container::OpenOptions open;
  open.verify = options.verify ? container::Verify::kAll : container::Verify::kTouched;
  open.jobs = options.jobs;
  Document document = container::open(path, open);
  file.container = document.container;
  try {
    if (is_weights_file(document)) document = from_weights_file(document);
    migrate::UpgradeOptions upgrade;
    upgrade.dialect = if_given(options.dialect);
    upgrade.arch = if_given(options.arch);
    upgrade.arch_head = if_given(options.arch_head);
    upgrade.file_digest = [&] { return options.derive_uuid ? sha256_file(path) : Digest{}; };
    upgrade.companion = open_companion(path);
    file.upgraded = migrate::upgrade(document, upgrade);
    file.checkpoint = Checkpoint::from(file.upgraded.document);
  } catch (const Error& error) {
    throw error.at(path.native());
  }
  return file;
}

}  // namespace reprise::store
