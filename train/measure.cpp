#include "train/measure.h"

#include "ckpt/base/progress.h"
#include "train/experiment.h"

namespace reprise::train {

engine::Metrics measure(const Measurement& what, const engine::Weights& weights,
                        const engine::Weights* ema) {
  engine::Metrics all;
  const auto add = [&](const engine::Weights& which, std::string_view prefix) {
    Progress bar("evaluating", what.dataset.size(), ProgressUnit::kItems, what.io.progress());
    engine::EvaluateOptions options;
    options.batch_size = what.batch_size;
    options.workers = what.workers;
    options.progress = [&bar](std::uint64_t done) { bar.add(done - bar.done()); };
    const auto scores =
        engine::evaluate(what.network, which, what.objective, what.dataset,
                         evaluation_view(what.facts), options, what.pool, what.communicator);
    for (auto& [name, value] :
         engine::compute_metrics(scores, what.facts.task, what.facts.outputs())) {
      all.emplace_back(std::string(prefix) + name, value);
    }
  };
  add(weights, "");
  if (ema != nullptr) add(*ema, "ema/");
  return all;
}

}  // namespace reprise::train
