#include "train/desk.h"

#include "ckpt/base/error.h"
#include "engine/device/device.h"
#include "train/run_events.h"
#include "train/unchanged.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace reprise::train {
namespace {

// 1234567 as "1,234,567".
std::string grouped(std::int64_t value) {
  const std::string digits = std::to_string(value);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::unique_ptr<RunLedger> open_ledger(const StartPoint& start, const OpenedRun& run, RunLog& log,
                                       unsigned jobs) {
  const experiment::Config& config = start.config;
  if (!config.ledger) return nullptr;
  const std::filesystem::path path = run.directory.file("ledger.jsonl");
  const auto begin = [&]() -> ledger::Writer {
    const std::optional<LedgerPosition> position =
        start.resumed ? start.resumed->checkpoint.ledger : std::nullopt;
    if (!position || !std::filesystem::exists(path)) {
      if (start.resumed) {
        log.warn(fmt::format("there is no ledger up to update {}: a new one begins there",
                             start.resumed->checkpoint.progress->update));
        if (std::filesystem::exists(path)) {
          std::filesystem::rename(path, run.directory.file("ledger-before.jsonl"));
        }
      }
      return ledger::Writer::create(path);
    }
    ledger::Writer writer = ledger::Writer::reopen(path, position->update, position->chain);
    if (writer.repair().torn_bytes > 0) {
      log.info(fmt::format("update {}: took a torn last line of {} bytes off the ledger",
                           position->update, writer.repair().torn_bytes));
    }
    if (writer.repair().lines_removed > 0) {
      log.info(fmt::format("update {}: cut {} later lines off the ledger", position->update,
                           writer.repair().lines_removed));
    }
    return writer;
  };
  return std::make_unique<RunLedger>(begin(), static_cast<std::uint64_t>(config.seed),
                                     static_cast<std::uint64_t>(config.ledger_tensors), jobs);
}

void log_bad_samples(RunLog& log, const engine::Dataset& dataset, std::string_view which) {
  const auto& bad = dataset.bad_samples();
  if (bad.empty()) return;
  constexpr std::size_t kNamed = 20;
  log.warn(fmt::format("{}: {} image{} left out because {} not decode", which, bad.size(),
                       bad.size() == 1 ? "" : "s", bad.size() == 1 ? "it does" : "they do"));
  for (std::size_t i = 0; i < std::min(bad.size(), kNamed); ++i) {
    // A reader's message names the file that is the sample, too.
    const bool named = bad[i].reason.find(bad[i].name) != std::string::npos;
    log.warn(named ? fmt::format("  {}", bad[i].reason)
                   : fmt::format("  {}: {}", bad[i].name, bad[i].reason));
  }
  if (bad.size() > kNamed) log.warn(fmt::format("  and {} more", bad.size() - kNamed));
}

std::string run_name(const experiment::Config& config, const OpenedRun& run) {
  if (!config.name.empty()) return config.name;
  return std::filesystem::absolute(run.directory.path()).lexically_normal().filename().string();
}

// What the run starts from, in its first lines.
void log_start(const StartPoint& start, const experiment::DataFacts& facts,
               const std::optional<LoadedWeights>& loaded, const experiment::DataSets& data,
               Desk& desk, std::uint64_t update) {
  RunLog& log = desk.log;
  if (start.resumed) {
    log.info(fmt::format("start: resumed from {} after update {}", start.resumed->path.string(),
                         update));
    for (const experiment::ConfigDifference& difference : start.differences) {
      log.info(fmt::format("changed option: {} = {}, was {}{}", difference.key, difference.after,
                           difference.before,
                           difference.changes_bits ? " (changes the bits from here on)" : ""));
    }
    refuse_changed_data(start, facts, &log);
    if (desk.run.set_aside > 0) {
      log.info(fmt::format("{} later checkpoint{} moved to superseded/", desk.run.set_aside,
                           desk.run.set_aside == 1 ? "" : "s"));
    }
  } else if (start.adopted) {
    log.info(fmt::format(
        "start: weights and optimizer of {}, which train did not write; update {} comes next, by "
        "{} with a learning rate of {:g}",
        start.adopted->path.string(), update + 1, start.config.optimizer, *start.config.lr));
  } else if (loaded) {
    log.info(fmt::format("start: weights of {}\n{}", loaded->path.string(), loaded->report.text()));
  } else {
    log.info("start: new weights, drawn by the seed");
  }
  const experiment::Config& config = start.config;
  if (!config.backbone.empty()) log.info(fmt::format("backbone: {}", config.backbone));
  if (!config.teacher.empty()) log.info(fmt::format("teacher: {}", config.teacher));
  log_bad_samples(log, *data.train, config.data);
  // Both parts of a split have the list of the whole.
  if (data.validation && &data.validation->bad_samples() != &data.train->bad_samples()) {
    log_bad_samples(
        log, *data.validation,
        config.val_data.empty() ? "validation part of " + config.data : config.val_data);
  }
}

}  // namespace

Desk::Desk(const StartPoint& start, const experiment::DataFacts& facts,
           const experiment::DataSets& data, const Rank& rank, Beginning& beginning,
           const std::string& state, Io& io)
    : run(open_run(start)), log(run.directory.path(), run_name(start.config, run), io) {
  Learner& learner = beginning.learner;
  if (run.fresh) learner.run = run.directory.info().run;
  if (run.fresh || !start.differences.empty()) {
    write_config(run.directory, start.config, learner.progress.update);
  }
  log.info(fmt::format("run directory: {}", run.directory.path().string()));
  log.info(fmt::format("seed: {}", start.config.seed));
  log.info(fmt::format("device: {}", engine::describe_device(rank.device, rank.pool.threads())));
  log.info(fmt::format("world size: {}", rank.communicator->world()));
  if (rank.communicator->world() > 1) {
    log.info(fmt::format("sums over processes: {}", rank.communicator->road()));
  }
  log.info(fmt::format("parameters: {} ({})",
                       grouped(learner.weights.layout().parameter_elements()), start.config.arch));
  log.info(fmt::format("data: {}: {} samples, digest {}...", start.config.data, facts.train_samples,
                       facts.train_digest.substr(0, 12)));
  fingerprint.emplace(run.directory.path(), fingerprint_facts(start, facts, rank, beginning, state),
                      &log);
  ledger = open_ledger(start, run, log, rank.pool.threads());
  log_start(start, facts, beginning.loaded, data, *this, learner.progress.update);
  if (start.config.tensorboard) {
    std::vector<std::string> shown = {"train/loss"};
    if (const auto* major = learner.metrics.major()) shown.push_back(major->first);
    log.also_to(open_events(run.directory.path(), to_json(start.config), shown,
                            learner.progress.update, *data.train));
  }
}

void Desk::failed(const std::exception& error) noexcept {
  const auto attempt = [](const auto& act) {
    try {
      act();
    } catch (const std::exception&) {
      // The disk may be what failed. The run's own error is the one to be told.
    }
  };
  attempt([&] { run.lock.finish(store::RunState::kFailed, error.what()); });
  attempt([&] { log.error(error.what()); });
  attempt([&] { log.end(false); });
  attempt([&] { fingerprint->finish(static_cast<int>(code_of(error))); });
}

void Desk::ended(const TrainingProgress& progress, const LoopResult& result, int exit_code) {
  const bool stopped = result.ending == Ending::kStopped;
  run.lock.finish(stopped ? store::RunState::kStopped : store::RunState::kFinished);
  if (stopped) {
    log.info(fmt::format("update {}: stopped by {}; go on with: train --resume-from {}",
                         progress.update, result.reason, run.directory.path().string()));
  } else {
    log.end(true);
    log.info(fmt::format("update {}: finished{}", progress.update,
                         result.reason.empty() ? "" : ": " + result.reason));
  }
  fingerprint->finish(exit_code);
}

FingerprintFacts fingerprint_facts(const StartPoint& start, const experiment::DataFacts& facts,
                                   const Rank& rank, const Beginning& beginning,
                                   const std::string& state) {
  return {start.config,
          facts,
          *beginning.mode,
          rank.device,
          start.resumed   ? start.resumed->path.string()
          : start.adopted ? start.adopted->path.string()
                          : "",
          beginning.learner.progress.update,
          state,
          rank.pool.threads(),
          rank.communicator->rank(),
          rank.communicator->world(),
          rank.communicator->road()};
}

std::filesystem::path shared_directory(const std::optional<Desk>& desk,
                                       engine::Communicator& communicator) {
  std::string path =
      desk ? std::filesystem::absolute(desk->run.directory.path()).native() : std::string();
  std::uint64_t size = path.size();
  communicator.broadcast(std::as_writable_bytes(std::span(&size, 1)), 0);
  path.resize(size);
  communicator.broadcast(std::as_writable_bytes(std::span(path)), 0);
  return path;
}

}  // namespace reprise::train
