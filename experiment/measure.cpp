#include "experiment/measure.h"

#include "ckpt/base/progress.h"
#include "engine/data/derived.h"
#include "experiment/parts.h"

#include <string_view>
#include <utility>

namespace reprise::experiment {
namespace {

// Under which name a metric of a network's outputs is one of its features; nothing for the loss,
// which neighbours have none of.
std::optional<std::string> feature_metric(std::string_view name, bool linear) {
  if (name == "val/loss") return std::nullopt;
  return (linear ? "val/linear/" : "val/knn/") + std::string(name.substr(4));
}

}  // namespace

std::vector<std::string> metric_names(const DataFacts& facts, bool ema) {
  const std::vector<std::string> own = engine::metric_names(facts.task, facts.outputs());
  std::vector<std::string> names = own;
  for (const std::string& name : own) {
    if (ema) names.push_back("ema/" + name);
  }
  return names;
}

std::vector<std::string> feature_metric_names(const DataFacts& facts, bool linear) {
  std::vector<std::string> names;
  for (const std::string& name : engine::metric_names(facts.task, facts.outputs())) {
    if (auto of_features = feature_metric(name, linear)) names.push_back(std::move(*of_features));
  }
  return names;
}

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
    if (auto of_features = feature_metric(name, what.linear.has_value())) {
      metrics.emplace_back(std::move(*of_features), value);
    }
  }
  return metrics;
}

}  // namespace reprise::experiment
