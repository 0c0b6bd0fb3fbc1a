#include "train/run.h"

#include "ckpt/base/error.h"
#include "engine/determinism/determinism.h"
#include "engine/device/device.h"
#include "train/loop.h"
#include "train/run_fingerprint.h"
#include "train/start.h"

#include <fmt/format.h>

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

std::string usual_major_metric(engine::Task task) {
  return task == engine::Task::kClassification ? "val/acc1:max" : "val/mae:min";
}

Learner new_learner(const Config& config, const DataFacts& facts, const engine::Network& network,
                    c10::Device device) {
  auto weights = engine::Weights::initialised(network.layout(),
                                              static_cast<std::uint64_t>(config.seed), device);
  Learner learner{std::move(weights), nullptr, std::nullopt, {}, {}, {}, {}};
  learner.optimizer = engine::make_optimizer(optimizer_options(config), learner.weights);
  const auto [name, mode] = store::parse_major_metric(
      config.major_metric == "auto" ? usual_major_metric(facts.task) : config.major_metric);
  learner.metrics.set_major(name, mode);
  return learner;
}

// --patience may differ between starts of one run, so it is set after restoring.
void set_patience(Learner& learner, const Config& config) {
  const auto* major = learner.metrics.major();
  if (major == nullptr || config.patience == 0) return;
  store::Metric& metric = *learner.metrics.find(major->first);
  metric.use_for_plateau_detection = true;
  metric.patience = static_cast<std::uint64_t>(config.patience);
  metric.min_delta = config.tolerance;
}

// A data set that changed under a run is a change of configuration like another one.
void refuse_changed_data(const StartPoint& start, const DataFacts& now, RunLog* log) {
  const DataFacts before = data_facts_from(start.resumed->checkpoint.config.at("derived"));
  if (before.train_digest == now.train_digest) return;
  const std::string what = fmt::format(
      "the training data differ from those that {} was trained on: {} samples, digest {}..., was "
      "{} samples, digest {}...",
      start.resumed->path.string(), now.train_samples, now.train_digest.substr(0, 12),
      before.train_samples, before.train_digest.substr(0, 12));
  if (!start.config.allow_config_change) {
    fail(Code::kMismatch, "{}; restore them, or accept that with --allow-config-change", what);
  }
  if (log != nullptr) log->warn(what);
}

std::unique_ptr<RunLedger> open_ledger(const StartPoint& start, const OpenedRun& run,
                                       RunLog& log, unsigned jobs) {
  const Config& config = start.config;
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
    log.warn(fmt::format("  {}: {}", bad[i].name, bad[i].reason));
  }
  if (bad.size() > kNamed) log.warn(fmt::format("  and {} more", bad.size() - kNamed));
}

Json summary(const OpenedRun& run, const Learner& learner, const LoopResult& result, int code) {
  Json metrics = Json::object();
  for (const auto& [name, metric] : learner.metrics.metrics()) {
    if (!metric.values.empty()) metrics[name] = metric.values.back();
  }
  return {{"run", run.directory.path().string()}, {"run_uuid", learner.run.text()},
          {"epoch", learner.progress.epoch},      {"update", learner.progress.update},
          {"samples_seen", learner.progress.samples_seen}, {"metrics", metrics},
          {"reason", result.reason},              {"exit_code", code}};
}

}  // namespace

int run_training(const std::vector<OptionLayer>& given, unsigned jobs, Io& io) {
  // From the first moment: a scheduler may stop a job while it still opens its data.
  const StopRequest stop;
  const StartPoint start = plan_start(given);
  const Config& config = start.config;

  engine::WorkerPool pool(jobs);
  const c10::Device device = engine::choose_device(config.device);
  engine::set_determinism({config.deterministic}, device);
  const std::unique_ptr<engine::Communicator> communicator = engine::single_process();

  const DataSets data = open_data(config);
  const DataFacts facts = facts_of(config, data);
  const auto network = make_network(config, facts);
  const engine::Objective objective = make_objective(config, facts);
  if (start.resumed) refuse_changed_data(start, facts, nullptr);

  Learner learner = new_learner(config, facts, *network, device);
  std::optional<LoadedWeights> loaded;
  if (!config.load_from.empty()) {
    loaded = load_weights(config, *network, learner.weights);
    learner.parents = {{loaded->uuid, Relation::kLoaded}};
  }
  if (config.ema > 0) learner.ema = learner.weights.clone();
  if (start.resumed) {
    try {
      restore(learner, start.resumed->checkpoint);
    } catch (const Error& error) {
      throw error.at(start.resumed->path.string());
    }
  }
  set_patience(learner, config);

  OpenedRun run = open_run(start);
  if (run.fresh) learner.run = run.directory.info().run;
  const std::string name = !config.name.empty()
                               ? config.name
                               : std::filesystem::absolute(run.directory.path())
                                     .lexically_normal()
                                     .filename()
                                     .string();
  RunLog log(run.directory.path(), name, io);
  const std::uint64_t update = learner.progress.update;
  if (run.fresh || !start.differences.empty()) write_config(run.directory, config, update);

  log.info(fmt::format("run directory: {}", run.directory.path().string()));
  log.info(fmt::format("seed: {}", config.seed));
  log.info(fmt::format("device: {}", engine::describe_device(device, pool.threads())));
  log.info(fmt::format("world size: {}", communicator->world()));
  log.info(fmt::format("parameters: {} ({})", grouped(network->layout()->parameter_elements()),
                       config.arch));
  log.info(fmt::format("data: {}: {} samples, digest {}...", config.data, facts.train_samples,
                       facts.train_digest.substr(0, 12)));
  if (start.resumed) {
    log.info(fmt::format("start: resumed from {} after update {}", start.resumed->path.string(),
                         update));
    for (const ConfigDifference& difference : start.differences) {
      log.info(fmt::format("changed option: {} = {}, was {}{}", difference.key, difference.after,
                           difference.before,
                           difference.changes_bits ? " (changes the bits from here on)" : ""));
    }
    refuse_changed_data(start, facts, &log);
    if (run.set_aside > 0) {
      log.info(fmt::format("{} later checkpoint{} moved to superseded/", run.set_aside,
                           run.set_aside == 1 ? "" : "s"));
    }
  } else if (loaded) {
    log.info(fmt::format("start: weights of {}\n{}", loaded->path.string(), loaded->report.text()));
  } else {
    log.info("start: new weights, drawn by the seed");
  }
  log_bad_samples(log, *data.train, config.data);
  if (data.validation && data.validation != data.train) {
    log_bad_samples(log, *data.validation,
                    config.val_data.empty() ? "validation part of " + config.data : config.val_data);
  }

  RunFingerprint fingerprint(
      run.directory.path(),
      {config, facts, device, start.resumed ? start.resumed->path.string() : std::string()}, log);
  const std::unique_ptr<RunLedger> ledger = open_ledger(start, run, log, pool.threads());
  CheckpointFrame frame;
  frame.network = network.get();
  // Where this process started and writes is not part of what is computed: the same run in
  // another directory saves the same configuration.
  Config stored = config;
  stored.resume_from.clear();
  stored.allow_config_change = false;
  stored.work_dir.clear();
  stored.name.clear();
  frame.config = to_json(stored);
  frame.config["derived"] = to_json(facts);
  frame.fingerprint = fingerprint.digest();
  frame.random = {{"generator", "philox4x32-10"}, {"seed", config.seed}};

  LoopResult result;
  try {
    Saver saver(config, run.directory, log, pool.threads());
    const LoopParts parts{config,  facts,         data,    *network, objective, device,
                          pool,    *communicator, learner, frame,    ledger.get(), log,
                          saver,   stop,          io};
    engine::translate_torch_errors([&] { result = run_loop(parts); });
    saver.finish();
  } catch (const Error& error) {
    log.error(error.what());
    fingerprint.finish(error.exit_code());
    throw;
  }
  const bool stopped = result.ending == Ending::kStopped;
  run.lock.finish(stopped ? store::RunState::kStopped : store::RunState::kFinished);
  const int code = stopped ? static_cast<int>(Code::kStopped) : 0;
  if (stopped) {
    log.info(fmt::format("update {}: stopped by {}; go on with: train --resume-from {}",
                         learner.progress.update, result.reason, run.directory.path().string()));
  } else {
    log.info(fmt::format("update {}: finished{}", learner.progress.update,
                         result.reason.empty() ? "" : ": " + result.reason));
  }
  fingerprint.finish(code);
  if (io.json) io.print_json(summary(run, learner, result, code));
  return code;
}

}  // namespace reprise::train
