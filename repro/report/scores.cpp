#include "repro/report/scores.h"

#include <algorithm>
#include <cmath>

namespace reprise::report {

std::vector<Score> best_scores(const RunRecord& run, const std::vector<std::string>& metrics) {
  std::vector<Score> scores;
  for (const std::string& wanted : metrics.empty() ? metric_names(run) : metrics) {
    const auto [name, mode] = metric_of(wanted);
    const auto column = run.valid.column(name);
    if (!column) continue;
    std::optional<Score> best;
    for (const HistoryRow& row : run.valid.rows) {
      const double value = row.values[*column];
      if (!std::isfinite(value)) continue;
      const bool better =
          !best || (mode == store::MetricMode::kMax ? value > best->value : value < best->value);
      if (better) best = Score{name, mode, value, row.update, row.epoch, row.samples_seen};
    }
    if (best) scores.push_back(*best);
  }
  return scores;
}

std::vector<Spread> spread(const std::vector<std::vector<Score>>& scores) {
  std::vector<Spread> spreads;
  const auto at = [&](const std::string& metric) {
    auto found = std::ranges::find(spreads, metric, &Spread::metric);
    return found != spreads.end() ? found : spreads.insert(spreads.end(), Spread{metric});
  };
  for (const auto& of_run : scores) {
    for (const Score& score : of_run) {
      // Welford: mean and sum of squared distances, one value at a time.
      const auto into = at(score.metric);
      const double distance = score.value - into->mean;
      into->mean += distance / static_cast<double>(++into->runs);
      into->deviation += distance * (score.value - into->mean);
    }
  }
  for (Spread& one : spreads) {
    one.deviation = one.runs > 1 ? std::sqrt(one.deviation / static_cast<double>(one.runs - 1)) : 0;
  }
  return spreads;
}

Json to_json(const std::vector<Score>& scores) {
  Json out = Json::object();
  for (const Score& score : scores) {
    out[score.metric] = {{"value", score.value},
                         {"mode", store::to_string(score.mode)},
                         {"update", score.update},
                         {"epoch", score.epoch},
                         {"samples_seen", score.samples_seen}};
  }
  return out;
}

}  // namespace reprise::report
