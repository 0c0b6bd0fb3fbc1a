#include "train/run.h"

#include "ckpt/base/error.h"
#include "engine/determinism/determinism.h"
#include "engine/device/device.h"
#include "engine/device/memory.h"
#include "engine/distributed/agree.h"
#include "engine/distributed/connect.h"
#include "engine/distributed/gather_crew.h"
#include "train/beginning.h"
#include "train/desk.h"
#include "train/lone_value.h"
#include "train/loop.h"
#include "train/memory_report.h"
#include "train/requeue.h"
#include "train/selfcheck.h"
#include "train/start.h"
#include "train/unchanged.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace reprise::train {
namespace {

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

// A seed that was drawn is the first rank's on all of them.
void share_seed_if_drawn(const std::vector<experiment::OptionLayer>& given,
                         experiment::Config& config, engine::Communicator& communicator) {
  const auto draws = [](const experiment::OptionLayer& layer) { return layer.has("gen-seed"); };
  if (std::none_of(given.begin(), given.end(), draws)) return;
  std::int64_t seed = config.seed;
  communicator.broadcast(std::as_writable_bytes(std::span(&seed, 1)), 0);
  config.seed = seed;
}

Json stored_config(experiment::Config config, const experiment::DataFacts& facts,
                   c10::Device device) {
  // Where this process started and writes is not part of what is computed: the same run in
  // another directory saves the same configuration.
  config.resume_from.clear();
  config.allow_config_change = false;
  config.work_dir.clear();
  config.name.clear();
  config.nproc = 1;
  config.join_timeout = experiment::Config().join_timeout;
  config.requeue = false;
  config.memory_report = false;
  config.selfcheck = false;
  config.selfcheck_updates = experiment::Config().selfcheck_updates;
  Json json = to_json(config);
  json["derived"] = to_json(facts);
  json["derived"]["device"] = engine::device_kind(device);
  return json;
}

int run_rank(StartPoint& start, const Rank& rank, const StopRequest& stop, Io& io) {
  if (start.resumed) refuse_changed_device(start, rank.device);
  settle_other_checkpoints(start);
  if (start.config.selfcheck) start.config.validate = false;
  const experiment::Config& config = start.config;
  shard_plan(config, *rank.communicator);  // errors before the data are read
  if (config.requeue) require_slurm_job();
  const experiment::DataSets data = open_data(config);
  const experiment::DataFacts facts = facts_of(config, data);
  if (start.resumed) refuse_changed_data(start, facts, nullptr);
  const RunPlan plan = plan_run(config, facts, *rank.communicator);
  if (config.selfcheck) {
    return run_selfcheck(
        {config, facts, data, rank.device, rank.pool, *rank.communicator, stop, io},
        [&] { return begin(start, facts, rank); });
  }
  Beginning beginning = begin(start, facts, rank);
  const std::unique_ptr<Mode>& mode = beginning.mode;
  Learner& learner = beginning.learner;
  std::string state;
  if (rank.first()) {
    state = state_digest(learner, *mode, rank.pool.threads());
    if (start.resumed) refuse_changed_state(start, state);
  }
  // Errors before there is a directory.
  sampler_from(config, facts, plan, learner.progress);
  refuse_lone_value(config, *mode, learner, *data.train, plan.shards);
  // Everybody has read what they start from before the first one moves a file.
  rank.communicator->barrier();

  std::optional<Desk> desk;
  CheckpointFrame frame;
  frame.config = stored_config(config, facts, rank.device);
  mode->describe_config(frame.config);
  frame.random = {{"generator", "philox4x32-10"}, {"seed", config.seed}};
  if (rank.first()) {
    desk.emplace(start, facts, data, rank, beginning, state, io);
    frame.fingerprint = desk->fingerprint->digest();
  }
  // A further rank writes its record behind the first one's, where it sees the same folder.
  std::optional<RunFingerprint> further;
  if (const auto run = shared_directory(desk, *rank.communicator);
      !desk && std::filesystem::is_directory(run)) {
    further.emplace(run, fingerprint_facts(start, facts, rank, beginning, state), nullptr);
  }

  std::unique_ptr<container::Crew> crew;
  LoopResult result;
  try {
    crew = engine::gather_crew(*rank.communicator);
    std::optional<Saver> saver;
    std::optional<SaveShare> save_share;
    const unsigned threads = rank.pool.threads();
    if (desk) {
      saver.emplace(config, desk->run.directory, desk->log, crew.get(), threads);
    } else if (crew) {
      save_share.emplace(config, *crew, threads);
    }
    const LoopParts parts{config,
                          facts,
                          data,
                          plan,
                          *mode,
                          rank.device,
                          rank.pool,
                          *rank.communicator,
                          learner,
                          frame,
                          desk ? desk->ledger.get() : nullptr,
                          desk ? &desk->log : nullptr,
                          saver ? &*saver : nullptr,
                          save_share ? &*save_share : nullptr,
                          stop,
                          io};
    engine::translate_torch_errors([&] { result = run_loop(parts); });
  } catch (const std::exception& error) {
    if (desk) desk->failed(error);
    try {
      if (further) further->finish(static_cast<int>(code_of(error)));
    } catch (const std::exception&) {
      // The error that ended the run is the one to be told.
    }
    throw;
  }
  const int code = result.ending == Ending::kStopped ? static_cast<int>(Code::kStopped) : 0;
  if (further) further->finish(code);
  if (!desk) {
    // A launcher may end the others when one has left (srun --kill-on-bad-exit): the first process
    // has to have written everything, and have asked for the queue, by then.
    rank.communicator->barrier();
    return code;
  }
  desk->ended(learner.progress, result, code);
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

int run_training(const std::vector<experiment::OptionLayer>& given, unsigned jobs, Io& io) {
  // From the first moment: a scheduler may stop a job while it still opens its data.
  const StopRequest stop;
  const engine::ProcessPlace place = engine::place_from_environment();
  StartPoint start = plan_start(given, place.world);
  engine::WorkerPool pool(jobs == 0 ? engine::default_threads(place) : jobs);
  const c10::Device device = engine::choose_device(start.config.device, place.local_rank);
  if (start.config.memory_report) engine::count_memory(device);
  engine::set_ways_out({"run with --no-deterministic, or without the layer that uses it",
                        "use more --shards, a smaller --batch-size or --activation-checkpointing"});
  engine::set_determinism({start.config.deterministic}, device);
  const engine::ConnectOptions how{.join_timeout = std::chrono::seconds(start.config.join_timeout),
                                   .device = device};
  Rank rank{place, engine::connect(place, how), device, pool};
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
