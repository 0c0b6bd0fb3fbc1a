#include "train/multi_scale.h"

#include "ckpt/base/error.h"
#include "engine/random/stream.h"

namespace reprise::train {

MultiScale::MultiScale(const experiment::Config& config, const engine::NetworkOptions& network)
    : seed_(static_cast<std::uint64_t>(config.seed)) {
  if (config.multi_scale_min == 0 && config.multi_scale_max == 0) return;
  const auto or_usual = [&](std::int64_t side) { return side == 0 ? network.image_size : side; };
  const std::int64_t smallest = or_usual(config.multi_scale_min);
  const std::int64_t largest = or_usual(config.multi_scale_max);
  const bool vit = network.arch.starts_with("vit");
  const std::int64_t step = vit ? network.patch_size : 8;
  if (smallest > largest || (vit && (smallest % step != 0 || largest % step != 0))) {
    fail(Code::kUsage,
         "multi-scale-min = {}, multi-scale-max = {}: expected sides in rising order{}", smallest,
         largest, vit ? fmt::format(" that are multiples of the patch size {}", step) : "");
  }
  for (std::int64_t side = smallest; side <= largest; side += step) {
    sides_.push_back(static_cast<int>(side));
  }
}

int MultiScale::side(std::uint64_t update) const {
  if (sides_.empty()) return 0;
  return sides_[engine::Stream(seed_, engine::Domain::kMultiScale, {update}).below(sides_.size())];
}

}  // namespace reprise::train
