#include "experiment/measure.h"

#include "ckpt/base/progress.h"
#include "engine/data/derived.h"
#include "experiment/parts.h"

namespace reprise::experiment {

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

engine::Metrics measure_features(const FeatureMeasurement& what, const engine::Weights& weights) {
  const auto features = [&](const engine::Dataset& dataset) {
    Progress bar("features", dataset.size(), ProgressUnit::kItems, what.io.progress());
    engine::EvaluateOptions options = what.evaluation;
    options.progress = [&bar](std::uint64_t done) { bar.add(done - bar.done()); };
    return engine::features_of(what.backbone, weights, dataset, evaluation_view(what.facts),
                               options, what.pool, what.communicator);
  };
  // The caller's set outlives the part of it.
  const engine::DatasetPtr whole(&what.bank, [](const engine::Dataset*) {});
  const auto ids = engine::spread_ids(whole->size(), what.bank_samples);
  const engine::DatasetPtr bank =
      ids.size() < whole->size() ? engine::subset(whole, ids, {}) : whole;
  const engine::FeatureSet known = features(*bank);
  const engine::FeatureSet asked = features(what.dataset);
  const std::int64_t classes = what.facts.outputs();
  const auto scores =
      what.linear ? engine::linear_scores(known, asked, classes, *what.linear, what.pool)
                  : engine::neighbour_scores(known, asked, classes, what.neighbours, what.pool);
  engine::Metrics metrics;
  for (const auto& [name, value] : engine::compute_metrics(scores, what.facts.task, classes)) {
    if (name == "val/loss") continue;
    metrics.emplace_back((what.linear ? "val/linear/" : "val/knn/") + name.substr(4), value);
  }
  return metrics;
}

}  // namespace reprise::experiment
