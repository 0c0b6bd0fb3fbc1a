#include "ckpt/base/error.h"
#include "train/dino_mode.h"
#include "train/distill_mode.h"
#include "train/head_mode.h"
#include "train/mode.h"
#include "train/supervised_mode.h"

namespace reprise::train {

std::unique_ptr<Mode> make_mode(const experiment::Config& config,
                                const experiment::DataFacts& facts, c10::Device device) {
  if (config.mode == "supervised") return std::make_unique<SupervisedMode>(config, facts);
  if (config.mode == "dino") return std::make_unique<DinoMode>(config, facts);
  if (config.mode == "head") return std::make_unique<HeadMode>(config, facts, device);
  if (config.mode == "distill") return std::make_unique<DistillMode>(config, facts, device);
  fail(Code::kInternal, "no mode {}", config.mode);
}

std::vector<std::pair<std::string, std::string>> modes() {
  return {{"supervised", "classes or numbers, whichever the data hold"},
          {"dino", "a backbone from images alone: a student learns what its own average sees"},
          {"head", "a head on the frozen backbone of another checkpoint"},
          {"distill", "as supervised, from the outputs or feature maps of a teacher too"}};
}

}  // namespace reprise::train
