#include "ckpt/store/load.h"

#include "ckpt/base/error.h"
#include "ckpt/container/open.h"
#include "ckpt/store/reference.h"
#include "ckpt/store/weights_file.h"

namespace reprise::store {

namespace {

// The version a document states, 0 when it states none.
int schema_of(const Document& document) {
  const DictNode* root = document.root.if_dict();
  const auto version = root == nullptr ? std::nullopt : root->get("version").if_int();
  if (!version) return 0;
  if (*version < 0 || *version > 1'000'000) {
    fail(Code::kCorrupt, "field 'version' is {}, 1 to {} was expected", *version, kSchemaVersion);
  }
  return static_cast<int>(*version);
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
    loaded.schema = schema_of(document);
    loaded.checkpoint = Checkpoint::from(document);
  } catch (const Error& error) {
    throw error.at(loaded.path.native());
  }
  return loaded;
}

Checkpoint load(std::string_view path_or_reference, const LoadOptions& options) {
  return open_checkpoint(path_or_reference, options).checkpoint;
}

}  // namespace reprise::store
