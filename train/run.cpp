#include "train/run.h"

#include "ckpt/base/error.h"
#include "ckpt/base/progress.h"
#include "engine/determinism/determinism.h"
#include "engine/device/device.h"
#include "engine/device/memory.h"
#include "engine/distributed/agree.h"
#include "engine/distributed/connect.h"
#include "engine/distributed/place.h"
#include "train/adopt.h"
#include "train/loop.h"
#include "train/lr_factors.h"
#include "train/requeue.h"
#include "train/run_events.h"
#include "train/run_fingerprint.h"
#include "train/selfcheck.h"
#include "train/start.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
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

// The state that a run resumes from is the one that its ledger recorded: a bit that flipped on a
// disk or in memory, or an edited checkpoint, would go unnoticed otherwise.
void refuse_changed_state(const StartPoint& start, const std::string& state) {
  const Checkpoint& checkpoint = start.resumed->checkpoint;
  if (!checkpoint.ledger || start.config.allow_config_change) return;
  const auto recorded = recorded_state(start.resumed->path, checkpoint.ledger->update);
  if (!recorded || *recorded == state) return;
  fail(Code::kMismatch,
       "{}: its weights and optimizer have the digest {}, the ledger recorded {} after update {}; "
       "one of the two was changed: resume from another checkpoint, or accept this one with "
       "--allow-config-change",
       start.resumed->path.string(), state, *recorded, checkpoint.ledger->update);
}

std::unique_ptr<RunLedger> open_ledger(const StartPoint& start, const OpenedRun& run, RunLog& log,
                                       unsigned jobs) {
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
  return {{"run", run.directory.path().string()},
          {"run_uuid", learner.run.text()},
          {"epoch", learner.progress.epoch},
          {"update", learner.progress.update},
          {"samples_seen", learner.progress.samples_seen},
          {"metrics", metrics},
          {"reason", result.reason},
          {"exit_code", code}};
}

// The peak of this process, largest part first, and what the system says it takes in all.
Json memory_report(c10::Device device) {
  const engine::MemoryUse peak = engine::memory_peak();
  const engine::MemoryUse highest = engine::memory_highest();
  Json parts = Json::object();
  Json alone = Json::object();
  for (std::size_t i = 0; i < engine::kMemoryParts; ++i) {
    parts[engine::to_string(static_cast<engine::MemoryPart>(i))] = peak.parts[i];
    alone[engine::to_string(static_cast<engine::MemoryPart>(i))] = highest.parts[i];
  }
  return {{"peak_bytes", peak.total},
          {"parts", parts},
          {"highest", alone},
          {"resident_bytes", engine::peak_memory_mib(device) << 20}};
}

void log_memory(RunLog& log, const Json& report) {
  std::vector<std::pair<std::uint64_t, std::string>> parts;
  for (const auto& [name, bytes] : report["parts"].items()) {
    parts.emplace_back(bytes.get<std::uint64_t>(), name);
  }
  std::ranges::sort(parts, std::greater());
  std::string text;
  for (const auto& [bytes, name] : parts) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, format_bytes(bytes));
  }
  log.info(fmt::format(
      "memory: tensors took {} at the peak: {}; the process took {} in all, with its code, the "
      "batches that are loaded ahead and the copy that is saved",
      format_bytes(report["peak_bytes"].get<std::uint64_t>()), text,
      format_bytes(report["resident_bytes"].get<std::uint64_t>())));
}

// One process of a run.
struct Rank {
  engine::ProcessPlace place;
  std::unique_ptr<engine::Communicator> communicator;
  c10::Device device;
  engine::WorkerPool& pool;
  bool first() const { return place.rank == 0; }
};

// Weights that a checkpoint will replace, all of them, need not be drawn.
Learner new_learner(const StartPoint& start, const Mode& mode, const Rank& rank) {
  const Config& config = start.config;
  const engine::MemoryScope of_weights(engine::MemoryPart::kWeights);
  auto weights =
      start.resumed || start.adopted
          ? engine::Weights(mode.layout(), rank.device)
          : engine::Weights::initialised(mode.layout(), static_cast<std::uint64_t>(config.seed),
                                         rank.device, rank.pool.threads());
  Learner learner{std::move(weights), nullptr, std::nullopt, std::nullopt, {}, {}, {},
                  mode.parents()};
  engine::OptimizerOptions optimizer = optimizer_options(config);
  optimizer.lr_factors = lr_factors(config, *mode.layout(), mode.network().head_prefix());
  const engine::MemoryScope of_optimizer(engine::MemoryPart::kOptimizer);
  learner.optimizer = engine::make_optimizer(optimizer, learner.weights);
  if (config.amp == "fp16") learner.scaler.emplace(config.loss_scale);
  const auto [name, direction] = store::parse_major_metric(
      config.major_metric == "auto" ? mode.usual_major_metric() : config.major_metric);
  learner.metrics.set_major(name, direction);
  return learner;
}

// A seed that was drawn is the first rank's on all of them.
void share_seed_if_drawn(const std::vector<OptionLayer>& given, Config& config,
                         engine::Communicator& communicator) {
  const auto draws = [](const OptionLayer& layer) { return layer.has("gen-seed"); };
  if (std::none_of(given.begin(), given.end(), draws)) return;
  std::int64_t seed = config.seed;
  communicator.broadcast(std::as_writable_bytes(std::span(&seed, 1)), 0);
  config.seed = seed;
}

// What only the first rank has: the run directory and everything that writes to it.
struct Desk {
  Desk(const StartPoint& start, const DataFacts& facts, const Rank& rank, Learner& learner,
       const std::string& state, Io& io);

  OpenedRun run;
  RunLog log;
  std::optional<RunFingerprint> fingerprint;
  std::unique_ptr<RunLedger> ledger;
};

FingerprintFacts fingerprint_facts(const StartPoint& start, const DataFacts& facts,
                                   const Rank& rank, std::uint64_t update,
                                   const std::string& state) {
  return {start.config,
          facts,
          rank.device,
          start.resumed   ? start.resumed->path.string()
          : start.adopted ? start.adopted->path.string()
                          : "",
          update,
          state,
          rank.pool.threads(),
          rank.communicator->rank(),
          rank.communicator->world()};
}

// The run directory, which the first rank alone knows, on all of them.
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

std::string run_name(const Config& config, const OpenedRun& run) {
  if (!config.name.empty()) return config.name;
  return std::filesystem::absolute(run.directory.path()).lexically_normal().filename().string();
}

Desk::Desk(const StartPoint& start, const DataFacts& facts, const Rank& rank, Learner& learner,
           const std::string& state, Io& io)
    : run(open_run(start)), log(run.directory.path(), run_name(start.config, run), io) {
  if (run.fresh) learner.run = run.directory.info().run;
  if (run.fresh || !start.differences.empty()) {
    write_config(run.directory, start.config, learner.progress.update);
  }
  log.info(fmt::format("run directory: {}", run.directory.path().string()));
  log.info(fmt::format("seed: {}", start.config.seed));
  log.info(fmt::format("device: {}", engine::describe_device(rank.device, rank.pool.threads())));
  log.info(fmt::format("world size: {}", rank.communicator->world()));
  log.info(fmt::format("parameters: {} ({})",
                       grouped(learner.weights.layout().parameter_elements()), start.config.arch));
  log.info(fmt::format("data: {}: {} samples, digest {}...", start.config.data, facts.train_samples,
                       facts.train_digest.substr(0, 12)));
  fingerprint.emplace(run.directory.path(),
                      fingerprint_facts(start, facts, rank, learner.progress.update, state), &log);
  ledger = open_ledger(start, run, log, rank.pool.threads());
}

// What the run starts from, in its first lines.
void log_start(const StartPoint& start, const DataFacts& facts,
               const std::optional<LoadedWeights>& loaded, const DataSets& data, Desk& desk,
               std::uint64_t update) {
  RunLog& log = desk.log;
  if (start.resumed) {
    log.info(fmt::format("start: resumed from {} after update {}", start.resumed->path.string(),
                         update));
    for (const ConfigDifference& difference : start.differences) {
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
  const Config& config = start.config;
  if (!config.backbone.empty()) log.info(fmt::format("backbone: {}", config.backbone));
  if (!config.teacher.empty()) log.info(fmt::format("teacher: {}", config.teacher));
  log_bad_samples(log, *data.train, config.data);
  if (data.validation) {
    log_bad_samples(
        log, *data.validation,
        config.val_data.empty() ? "validation part of " + config.data : config.val_data);
  }
}

Json stored_config(Config config, const DataFacts& facts) {
  // Where this process started and writes is not part of what is computed: the same run in
  // another directory saves the same configuration.
  config.resume_from.clear();
  config.allow_config_change = false;
  config.work_dir.clear();
  config.name.clear();
  config.nproc = 1;
  config.join_timeout = Config().join_timeout;
  config.requeue = false;
  config.memory_report = false;
  config.selfcheck = false;
  config.selfcheck_updates = Config().selfcheck_updates;
  Json json = to_json(config);
  json["derived"] = to_json(facts);
  return json;
}

// Mode and learner as the start point says.
Beginning begin(const StartPoint& start, const DataFacts& facts, const Rank& rank) {
  const Config& config = start.config;
  std::unique_ptr<Mode> mode = make_mode(config, facts, rank.device);
  Learner learner = new_learner(start, *mode, rank);
  std::optional<LoadedWeights> loaded;
  if (!config.load_from.empty()) {
    loaded = mode->load(learner.weights);
    learner.parents.push_back({loaded->uuid, Relation::kLoaded});
  }
  mode->begin(learner);
  if (config.ema > 0) {
    const engine::MemoryScope of_average(engine::MemoryPart::kWeights);
    learner.ema = learner.weights.clone();
  }
  if (start.resumed) {
    try {
      restore(learner, *mode, start.resumed->checkpoint);
    } catch (const Error& error) {
      throw error.at(start.resumed->path.string());
    }
  }
  if (start.adopted) {
    const engine::ShardPlan plan = shard_plan(config, *rank.communicator);
    try {
      adopt(learner, *mode, start.adopted->checkpoint,
            facts.train_samples / plan.samples_per_update(), plan.samples_per_update());
    } catch (const Error& error) {
      throw error.at(start.adopted->path.string());
    }
  }
  set_patience(learner, config);
  return {std::move(mode), std::move(learner), std::move(loaded)};
}

int run_rank(StartPoint& start, const Rank& rank, const StopRequest& stop, Io& io) {
  settle_other_checkpoints(start);
  if (start.config.selfcheck) start.config.validate = false;
  const Config& config = start.config;
  shard_plan(config, *rank.communicator);
  if (config.requeue) require_slurm_job();
  const DataSets data = open_data(config);
  const DataFacts facts = facts_of(config, data);
  if (start.resumed) refuse_changed_data(start, facts, nullptr);
  if (config.selfcheck) {
    return run_selfcheck(
        {config, facts, data, rank.device, rank.pool, *rank.communicator, stop, io},
        [&] { return begin(start, facts, rank); });
  }
  Beginning beginning = begin(start, facts, rank);
  const std::unique_ptr<Mode>& mode = beginning.mode;
  Learner& learner = beginning.learner;
  const std::optional<LoadedWeights>& loaded = beginning.loaded;
  std::string state;
  if (rank.first()) {
    state = state_digest(learner, *mode, rank.pool.threads());
    if (start.resumed) refuse_changed_state(start, state);
  }
  // Everybody has read what they start from before the first one moves a file.
  rank.communicator->barrier();

  std::optional<Desk> desk;
  CheckpointFrame frame;
  frame.config = stored_config(config, facts);
  mode->describe_config(frame.config);
  frame.random = {{"generator", "philox4x32-10"}, {"seed", config.seed}};
  if (rank.first()) {
    desk.emplace(start, facts, rank, learner, state, io);
    log_start(start, facts, loaded, data, *desk, learner.progress.update);
    if (config.tensorboard) {
      std::vector<std::string> shown = {"train/loss"};
      if (const auto* major = learner.metrics.major()) shown.push_back(major->first);
      desk->log.also_to(open_events(desk->run.directory.path(), to_json(config), shown,
                                    learner.progress.update, *data.train));
    }
    frame.fingerprint = desk->fingerprint->digest();
  }
  // A further rank writes its record behind the first one's, where it sees the same folder.
  std::optional<RunFingerprint> further;
  if (const auto run = shared_directory(desk, *rank.communicator);
      !desk && std::filesystem::is_directory(run)) {
    further.emplace(run, fingerprint_facts(start, facts, rank, learner.progress.update, state),
                    nullptr);
  }

  LoopResult result;
  try {
    std::optional<Saver> saver;
    if (desk) saver.emplace(config, desk->run.directory, desk->log, rank.pool.threads());
    const LoopParts parts{config,
                          facts,
                          data,
                          *mode,
                          rank.device,
                          rank.pool,
                          *rank.communicator,
                          learner,
                          frame,
                          desk ? desk->ledger.get() : nullptr,
                          desk ? &desk->log : nullptr,
                          saver ? &*saver : nullptr,
                          stop,
                          io};
    engine::translate_torch_errors([&] { result = run_loop(parts); });
    if (saver) saver->finish();
  } catch (const Error& error) {
    if (desk) {
      desk->log.error(error.what());
      desk->log.end(false);
      desk->fingerprint->finish(error.exit_code());
    }
    if (further) further->finish(error.exit_code());
    throw;
  }
  const bool stopped = result.ending == Ending::kStopped;
  const int code = stopped ? static_cast<int>(Code::kStopped) : 0;
  if (further) further->finish(code);
  if (!desk) {
    // A launcher may end the others when one has left (srun --kill-on-bad-exit): the first process
    // has to have written everything, and have asked for the queue, by then.
    rank.communicator->barrier();
    return code;
  }
  desk->run.lock.finish(stopped ? store::RunState::kStopped : store::RunState::kFinished);
  if (stopped) {
    desk->log.info(fmt::format("update {}: stopped by {}; go on with: train --resume-from {}",
                               learner.progress.update, result.reason,
                               desk->run.directory.path().string()));
  } else {
    desk->log.end(true);
    desk->log.info(fmt::format("update {}: finished{}", learner.progress.update,
                               result.reason.empty() ? "" : ": " + result.reason));
  }
  desk->fingerprint->finish(code);
  Json said = summary(desk->run, learner, result, code);
  if (config.memory_report) {
    said["memory"] = memory_report(rank.device);
    log_memory(desk->log, said["memory"]);
  }
  if (io.json) io.print_json(said);
  if (config.requeue && result.goes_on_later) {
    desk->log.info(fmt::format("update {}: back into the queue", learner.progress.update));
    requeue_this_job();
  }
  rank.communicator->barrier();
  return code;
}

}  // namespace

int run_training(const std::vector<OptionLayer>& given, unsigned jobs, Io& io) {
  // From the first moment: a scheduler may stop a job while it still opens its data.
  const StopRequest stop;
  const engine::ProcessPlace place = engine::place_from_environment();
  StartPoint start = plan_start(given, place.world);
  engine::WorkerPool pool(jobs == 0 ? engine::default_threads(place) : jobs);
  const c10::Device device = engine::choose_device(start.config.device, place.local_rank);
  if (start.config.memory_report) {
    if (!device.is_cpu()) {
      fail(Code::kUnsupported, "--memory-report counts on the CPU alone; add --device cpu");
    }
    engine::count_memory();
  }
  engine::set_determinism({start.config.deterministic}, device);
  const engine::ConnectOptions patience{.join_timeout =
                                            std::chrono::seconds(start.config.join_timeout)};
  Rank rank{place, engine::connect(place, patience), device, pool};
  if (!rank.first()) io.quiet = true;
  try {
    share_seed_if_drawn(given, start.config, *rank.communicator);
    engine::require_equal_options(*rank.communicator, to_json(start.config));
    return run_rank(start, rank, stop, io);
  } catch (const std::exception& error) {
    rank.communicator->abandon(error.what());
    throw;
  }
}

}  // namespace reprise::train
