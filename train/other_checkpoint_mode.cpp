#include "train/other_checkpoint_mode.h"

#include <filesystem>
#include <utility>

namespace reprise::train {

OtherCheckpointMode::OtherCheckpointMode(const experiment::Config& config,
                                         const experiment::DataFacts& facts,
                                         std::unique_ptr<const engine::Network> network,
                                         const store::LoadedCheckpoint& other, std::string option,
                                         Relation relation)
    : SupervisedMode(config, facts, std::move(network)),
      uuid_(other.checkpoint.uuid),
      path_(std::filesystem::absolute(other.path).lexically_normal().string()),
      option_(std::move(option)),
      relation_(relation) {}

void OtherCheckpointMode::describe_config(Json& config) const {
  config[option_] = uuid_.text();
  config["search-path"] = "";
  config["derived"][option_ + "-path"] = path_;
}

}  // namespace reprise::train
