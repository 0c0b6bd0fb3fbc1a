#include "engine/evaluate/features.h"

#include "ckpt/base/error.h"
#include "engine/determinism/determinism.h"
#include "engine/evaluate/micro_batches.h"
#include "engine/random/stable_math.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>

namespace reprise::engine {
namespace {

void read_targets(const Dataset& dataset, FeatureSet& set) {
  const auto samples = static_cast<std::int64_t>(dataset.size());
  if (dataset.task() == Task::kClassification) {
    for (std::uint64_t id = 0; id < dataset.size(); ++id) {
      set.labels.push_back(dataset.target(id).label);
    }
    return;
  }
  const auto targets = dataset.target_names().size();
  set.values = at::empty({samples, static_cast<std::int64_t>(targets)}, at::kFloat);
  float* value = set.values.mutable_data_ptr<float>();
  for (std::uint64_t id = 0; id < dataset.size(); ++id, value += targets) {
    std::ranges::copy(dataset.target(id).values, value);
  }
}

at::Tensor of_length_one(const at::Tensor& rows) {
  return rows / rows.norm(2, {1}, true).clamp_min(1e-12);
}

struct Neighbour {
  float cosine = 0;
  std::size_t index = 0;
};

bool nearer(const Neighbour& a, const Neighbour& b) {
  return a.cosine > b.cosine || (a.cosine == b.cosine && a.index < b.index);
}

std::vector<Neighbour> nearest(std::span<const float> cosines, std::size_t count) {
  std::vector<Neighbour> all(cosines.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    // A NaN (weights that diverged) is nearest to nothing.
    all[i] = {std::isnan(cosines[i]) ? -2.0F : cosines[i], i};
  }
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(),
                    nearer);
  all.resize(count);
  return all;
}

SampleScore vote(const std::vector<Neighbour>& nearest, std::span<const double> weights,
                 const std::vector<std::int64_t>& labels, std::int64_t classes,
                 std::int64_t label) {
  std::vector<double> votes(static_cast<std::size_t>(classes), 0.0);
  double all = 0;
  for (std::size_t i = 0; i < nearest.size(); ++i) {
    votes[static_cast<std::size_t>(labels[nearest[i].index])] += weights[i];
    all += weights[i];
  }
  const auto right = static_cast<std::size_t>(label);
  std::size_t before = 0;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    if (votes[i] > votes[right] || (votes[i] == votes[right] && i < right)) ++before;
  }
  SampleScore score;
  // Classes without a vote are not among the first five.
  score.correct1 = votes[right] > 0 && before < 1 ? 1 : 0;
  score.correct5 = votes[right] > 0 && before < 5 ? 1 : 0;
  score.loss = -stable_log(std::max(votes[right] / all, stable_exp(-20)));
  return score;
}

SampleScore mean_of(const std::vector<Neighbour>& nearest, std::span<const double> weights,
                    const at::Tensor& values, const float* target) {
  const auto targets = static_cast<std::size_t>(values.size(1));
  const float* rows = values.const_data_ptr<float>();
  SampleScore score;
  for (std::size_t t = 0; t < targets; ++t) {
    double sum = 0;
    double all = 0;
    for (std::size_t i = 0; i < nearest.size(); ++i) {
      sum += weights[i] * static_cast<double>(rows[nearest[i].index * targets + t]);
      all += weights[i];
    }
    const double error = sum / all - static_cast<double>(target[t]);
    score.absolute_error += std::abs(error) / static_cast<double>(targets);
    score.squared_error += error * error / static_cast<double>(targets);
  }
  score.loss = score.squared_error;
  return score;
}

}  // namespace

void require_comparable(const FeatureSet& bank, const FeatureSet& queries, std::int64_t classes) {
  if (bank.features.size(0) == 0) fail(Code::kUsage, "there is no sample to be a neighbour");
  if (bank.features.size(1) != queries.features.size(1) ||
      bank.labels.empty() != queries.labels.empty()) {
    fail(Code::kMismatch, "the two sets of features are of different networks or tasks");
  }
  for (const FeatureSet* set : {&bank, &queries}) {
    for (const std::int64_t label : set->labels) {
      if (label < 0 || label >= classes) {
        fail(Code::kMismatch, "label {} in the data, {} classes: another data set?", label,
             classes);
      }
    }
  }
}

FeatureSet features_of(const Network& network, const Weights& weights, const Dataset& dataset,
                       const View& view, const EvaluateOptions& options, WorkerPool& pool,
                       Communicator& communicator) {
  const auto width = static_cast<std::size_t>(network.feature_elements());
  std::vector<float> mine(evaluated_samples(dataset.size(), communicator).count * width);
  for_each_micro_batch(
      dataset, view, options, weights.flat().device(), pool, communicator,
      [&](const TrainingBatch& part, std::uint64_t first, std::uint64_t real) {
        const at::Tensor found =
            network.features(weights, part.images, Pass{}).to(at::kCPU, at::kFloat).contiguous();
        std::copy_n(found.const_data_ptr<float>(), real * width,
                    mine.begin() + static_cast<std::ptrdiff_t>(first * width));
      });
  const auto rows = gathered_rows(std::as_bytes(std::span(mine)), width * sizeof(float),
                                  dataset.size(), communicator);
  FeatureSet set;
  set.features = at::empty(
      {static_cast<std::int64_t>(dataset.size()), static_cast<std::int64_t>(width)}, at::kFloat);
  std::memcpy(set.features.mutable_data_ptr<float>(), rows.data(), rows.size());
  read_targets(dataset, set);
  return set;
}

std::vector<SampleScore> neighbour_scores(const FeatureSet& bank, const FeatureSet& queries,
                                          std::int64_t classes, const NeighbourOptions& options,
                                          WorkerPool& pool) {
  require_comparable(bank, queries, classes);
  const auto samples = static_cast<std::size_t>(queries.features.size(0));
  const auto count = std::min(static_cast<std::size_t>(options.neighbours),
                              static_cast<std::size_t>(bank.features.size(0)));
  const at::Tensor known = of_length_one(bank.features).t();
  const at::Tensor asked = of_length_one(queries.features);
  std::vector<SampleScore> scores(samples);
  const auto piece = [&](std::size_t number) {
    const at::NoGradGuard no_gradients;
    const std::size_t first = number * kMicroBatch;
    const std::size_t rows = std::min<std::size_t>(kMicroBatch, samples - first);
    const at::Tensor cosines = at::matmul(asked.narrow(0, static_cast<std::int64_t>(first),
                                                       static_cast<std::int64_t>(rows)),
                                          known)
                                   .contiguous();
    const auto width = static_cast<std::size_t>(cosines.size(1));
    for (std::size_t i = 0; i < rows; ++i) {
      const auto found = nearest({cosines.const_data_ptr<float>() + i * width, width}, count);
      std::vector<double> weights;
      for (const Neighbour& one : found) {
        weights.push_back(stable_exp(
            std::max(-700.0, static_cast<double>(one.cosine - 1) / options.temperature)));
      }
      const std::size_t sample = first + i;
      scores[sample] = queries.labels.empty()
                           ? mean_of(found, weights, bank.values,
                                     queries.values.const_data_ptr<float>() +
                                         sample * static_cast<std::size_t>(queries.values.size(1)))
                           : vote(found, weights, bank.labels, classes, queries.labels[sample]);
    }
  };
  translate_torch_errors([&] { pool.run((samples + kMicroBatch - 1) / kMicroBatch, piece); });
  return scores;
}

}  // namespace reprise::engine
