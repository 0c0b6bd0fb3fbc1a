#include "ckpt/store/reference.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/store/load.h"
#include "ckpt/store/metrics.h"
#include "ckpt/store/run_directory.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace reprise::store {
namespace fs = std::filesystem;

namespace {

// "RUN/<word>~back", taken apart.
struct Reference {
  fs::path run;
  std::string word;
  std::uint64_t back = 0;
};

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

constexpr std::string_view kUuidWord = "uuid:";

bool is_known_word(std::string_view word) {
  return word == "last" || word == "best" ||
         (word.starts_with("ep") && number(word.substr(2)).has_value()) ||
         (word.starts_with(kUuidWord) && word.size() > kUuidWord.size());
}

std::optional<Reference> parse(std::string_view text) {
  const auto slash = text.rfind('/');
  std::string_view last = slash == std::string_view::npos ? text : text.substr(slash + 1);
  if (!last.starts_with('<')) return std::nullopt;
  const auto close = last.rfind('>');
  if (close == std::string_view::npos) return std::nullopt;
  Reference reference;
  const std::string_view tail = last.substr(close + 1);
  if (!tail.empty()) {
    const auto back = tail.starts_with('~') ? number(tail.substr(1)) : std::nullopt;
    if (!back) return std::nullopt;
    reference.back = *back;
  }
  reference.word = last.substr(1, close - 1);
  // "/<last>" is a run in the root folder, "<last>" one in the current folder.
  reference.run = slash == std::string_view::npos ? "." : slash == 0 ? "/" : text.substr(0, slash);
  return reference;
}

std::string describe(const CheckpointEntry& entry) {
  return fmt::format("  <ep{}>  <uuid:{}>  {}", entry.epoch, entry.uuid.text().substr(0, 8),
                     entry.path.filename().native());
}

// The last few of what there is, for messages.
std::string what_there_is(const std::vector<CheckpointEntry>& entries) {
  if (entries.empty()) return "; there are no checkpoints";
  constexpr std::size_t kShown = 8;
  std::string text = "; there are:";
  const std::size_t first = entries.size() > kShown ? entries.size() - kShown : 0;
  if (first > 0) text += fmt::format("\n  ({} older ones)", first);
  for (std::size_t i = first; i < entries.size(); ++i) text += "\n" + describe(entries[i]);
  return text;
}

const CheckpointEntry& unique(std::string_view text, const std::vector<CheckpointEntry>& candidates,
                              const std::vector<CheckpointEntry>& all) {
  if (candidates.empty()) {
    fail(Code::kNotFound, "{}: no such checkpoint{}", printable(text), what_there_is(all));
  }
  if (candidates.size() > 1) {
    std::string list;
    for (const CheckpointEntry& entry : candidates) list += "\n" + describe(entry);
    fail(Code::kUsage, "{}: {} checkpoints match; name one by its UUID:{}", printable(text),
         candidates.size(), list);
  }
  return candidates.front();
}

const CheckpointEntry& find_epoch(std::string_view text, std::uint64_t epoch,
                                  const std::vector<CheckpointEntry>& all,
                                  std::vector<CheckpointEntry>& candidates) {
  for (const CheckpointEntry& entry : all) {
    if (!entry.problem && entry.epoch == epoch) candidates.push_back(entry);
  }
  // Later saves with the same number of completed epochs lie inside the next epoch; a
  // rolling save may be the same state once more.
  if (candidates.size() > 1) {
    const std::uint64_t first = candidates.front().update;
    std::erase_if(candidates, [&](const CheckpointEntry& e) { return e.update != first; });
    if (std::ranges::any_of(candidates, [](const auto& e) { return !e.rolling; })) {
      std::erase_if(candidates, [](const CheckpointEntry& e) { return e.rolling; });
    }
  }
  return unique(text, candidates, all);
}

// The value that a checkpoint's own weights reached, if they were evaluated.
struct Score {
  std::string metric;
  MetricMode mode = MetricMode::kMin;
  std::optional<double> value;
};

Score score_of(const CheckpointEntry& entry, std::string_view wanted) {
  Score score;
  try {
    const Checkpoint checkpoint = load(entry.path.native(), {.verify = false});
    const MetricsState state = MetricsState::from(checkpoint.metrics);
    const Metric* metric = nullptr;
    if (!wanted.empty()) {
      metric = state.find(wanted);
      score.metric = wanted;
    } else if (const auto* major = state.major()) {
      metric = &major->second;
      score.metric = major->first;
    }
    if (metric == nullptr) return score;
    score.mode = metric->mode;
    score.value = checkpoint.progress      ? metric->value_at(checkpoint.progress->update)
                  : metric->values.empty() ? std::nullopt
                                           : std::optional(metric->values.back());
    if (score.value && !std::isfinite(*score.value)) score.value.reset();
  } catch (const Error&) {
    // A file that cannot be read is not the best; listing names the problem.
  }
  return score;
}

}  // namespace

bool is_reference(std::string_view text) { return parse(text).has_value(); }

std::vector<BestCheckpoint> rank(const std::vector<CheckpointEntry>& entries,
                                 std::string_view metric) {
  std::vector<Score> scores(entries.size());
  parallel_for(entries.size(), 0, [&](std::size_t i) { scores[i] = score_of(entries[i], metric); });
  // The newest file that has a major metric decides which one it is, and its direction.
  const auto deciding = std::find_if(scores.rbegin(), scores.rend(), [](const Score& score) {
    return !score.metric.empty() && score.value;
  });
  std::vector<BestCheckpoint> ranked;
  if (deciding == scores.rend()) return ranked;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (scores[i].metric != deciding->metric || !scores[i].value) continue;
    ranked.push_back({entries[i], scores[i].metric, *scores[i].value});
  }
  std::ranges::stable_sort(ranked, [&](const BestCheckpoint& a, const BestCheckpoint& b) {
    if (a.value != b.value)
      return deciding->mode == MetricMode::kMin ? a.value < b.value : a.value > b.value;
    return !a.entry.rolling && b.entry.rolling && a.entry.epoch == b.entry.epoch;
  });
  return ranked;
}

std::optional<BestCheckpoint> find_best(const std::vector<CheckpointEntry>& entries,
                                        std::string_view metric) {
  std::vector<BestCheckpoint> ranked = rank(entries, metric);
  return ranked.empty() ? std::nullopt : std::optional(std::move(ranked.front()));
}

fs::path resolve(std::string_view path_or_reference, DirectoryMeans directory) {
  const fs::path path(path_or_reference);
  std::error_code failure;
  auto reference = parse(path_or_reference);
  if (reference && fs::exists(path, failure)) reference.reset();
  if (!reference) {
    if (!fs::is_directory(path, failure)) return path;
    if (directory == DirectoryMeans::kError) {
      fail(Code::kUsage,
           "{}: is a directory, a checkpoint was expected; use {}/<last> or {}/<best>",
           path.native(), path.native(), path.native());
    }
    reference = Reference{path, "last", 0};
  }

  const std::string& word = reference->word;
  if (!is_known_word(word)) {
    fail(Code::kUsage,
         "{}: <{}> is no reference; use <best>, <last>, <last>~N, <epN> or <uuid:START>",
         printable(path_or_reference), printable(word, 40));
  }
  const RunDirectory run = RunDirectory::open(reference->run);
  const std::vector<CheckpointEntry> all = run.list();
  std::vector<CheckpointEntry> candidates;
  const auto pick = [&](const auto& list, auto entry_of) -> fs::path {
    if (reference->back >= list.size()) {
      const std::string found =
          list.empty()       ? "there is no checkpoint that can be read"
          : list.size() == 1 ? "there is only 1 such checkpoint"
                             : fmt::format("there are only {} such checkpoints", list.size());
      // There is nothing to list where nothing was saved.
      fail(Code::kNotFound, "{}: {}", printable(path_or_reference),
           all.empty() ? "nothing has been saved there yet" : found + what_there_is(all));
    }
    return entry_of(list[reference->back]).path;
  };

  if (word == "last") {
    for (const CheckpointEntry& entry : all) {
      if (!entry.problem) candidates.insert(candidates.begin(), entry);
    }
    return pick(candidates, [](const CheckpointEntry& entry) { return entry; });
  }
  if (word == "best") {
    const std::vector<BestCheckpoint> ranked = rank(all, {});
    if (ranked.empty()) {
      fail(Code::kNotFound, "{}: no checkpoint here was evaluated by a major metric{}",
           printable(path_or_reference), what_there_is(all));
    }
    return pick(ranked, [](const BestCheckpoint& best) { return best.entry; });
  }
  if (reference->back != 0) {
    fail(Code::kUsage, "{}: ~N goes with <last> and <best> only", printable(path_or_reference));
  }
  if (word.starts_with("ep")) {
    if (const auto epoch = number(std::string_view(word).substr(2))) {
      return find_epoch(path_or_reference, *epoch, all, candidates).path;
    }
  }
  const std::string_view start = std::string_view(word).substr(kUuidWord.size());
  for (const CheckpointEntry& entry : all) {
    if (!entry.uuid.is_nil() && entry.uuid.text().starts_with(start)) candidates.push_back(entry);
  }
  return unique(path_or_reference, candidates, all).path;
}

}  // namespace reprise::store
