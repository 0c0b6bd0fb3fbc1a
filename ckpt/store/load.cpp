#include "ckpt/store/load.h"

#include "ckpt/store/reference.h"
#include "ckpt/store/upgraded_file.h"

namespace reprise::store {

LoadedCheckpoint open_checkpoint(std::string_view path_or_reference, const LoadOptions& options) {
  UpgradedFile file = open_upgraded(resolve(path_or_reference), options);
  LoadedCheckpoint loaded;
  loaded.path = std::move(file.path);
  loaded.container = std::move(file.container);
  loaded.schema = file.upgraded.schema.value_or(0);
  loaded.dialect = file.upgraded.dialect.value_or("");
  loaded.checkpoint = std::move(file.checkpoint);
  return loaded;
}

Checkpoint load(std::string_view path_or_reference, const LoadOptions& options) {
  return open_checkpoint(path_or_reference, options).checkpoint;
}

}  // namespace reprise::store
