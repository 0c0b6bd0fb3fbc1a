#include "ckpt/base/error.h"
#include "train/dino_mode.h"
#include "train/mode.h"
#include "train/supervised_mode.h"

namespace reprise::train {

std::unique_ptr<Mode> make_mode(const Config& config, const DataFacts& facts) {
  if (config.mode == "supervised") return std::make_unique<SupervisedMode>(config, facts);
  if (config.mode == "dino") return std::make_unique<DinoMode>(config, facts);
  fail(Code::kInternal, "no mode {}", config.mode);
}

std::vector<std::pair<std::string, std::string>> modes() {
  return {{"supervised", "classes or numbers, whichever the data hold"},
          {"dino", "a backbone from images alone: a student learns what its own average sees"}};
}

}  // namespace reprise::train
