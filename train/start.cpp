#include "train/start.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/store/reference.h"
#include "ckpt/store/take.h"
#include "experiment/data_facts.h"
#include "experiment/option_table.h"
#include "experiment/other_checkpoint.h"
#include "repro/ledger/writer.h"
#include "train/adopt.h"
#include "train/learner.h"
#include "train/run_events.h"
#include "train/run_log.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace reprise::train {
namespace {

namespace fs = std::filesystem;

// The options that a checkpoint was trained with, but for where that run started and wrote.
experiment::OptionLayer trained_with(const store::LoadedCheckpoint& loaded) {
  const std::string place = loaded.path.string();
  Json options = loaded.checkpoint.config;
  options.erase("derived");
  experiment::StoredConfig stored = experiment::from_json(options, place);
  if (!stored.unknown.empty()) {
    fail(Code::kUnsupported,
         "{}: trained with options that this version does not have: {}; "
         "resume with the version that wrote it, or start from its weights with --load-from",
         place, fmt::join(stored.unknown, ", "));
  }
  std::erase_if(stored.layer.given, [](const auto& given) {
    return given.first->effect == experiment::Effect::kStart;
  });
  return std::move(stored.layer);
}

void refuse_changes(const StartPoint& start) {
  if (start.config.allow_config_change) return;
  std::string changes;
  for (const experiment::ConfigDifference& difference : start.differences) {
    if (!difference.changes_bits) continue;
    changes += fmt::format("{}{} = {}, was {}", changes.empty() ? "" : "; ", difference.key,
                           difference.after, difference.before);
  }
  if (changes.empty()) return;
  fail(Code::kMismatch,
       "{}: {}; the resumed run would not have the bits of one never stopped: leave the option "
       "out, or accept that with --allow-config-change",
       start.resumed->path.string(), changes);
}

// The run directory that a checkpoint file lies in.
std::optional<store::RunDirectory> run_of(const fs::path& checkpoint) {
  const fs::path folder = fs::absolute(checkpoint).lexically_normal().parent_path();
  if (folder.filename() == "checkpoints" && fs::exists(folder.parent_path() / "run.json")) {
    return store::RunDirectory::open(folder.parent_path());
  }
  return std::nullopt;
}

bool is_later(const store::CheckpointEntry& entry, const Checkpoint& checkpoint) {
  return entry.uuid != checkpoint.uuid &&
         (entry.epoch > checkpoint.epoch || entry.update > checkpoint.progress->update);
}

// Saves from beyond the point of resuming would be taken for the newest state otherwise.
std::size_t set_aside_later_saves(const store::RunDirectory& run, const Checkpoint& checkpoint) {
  std::size_t count = 0;
  for (const store::CheckpointEntry& entry : run.list()) {
    if (entry.problem || !is_later(entry, checkpoint)) continue;
    const fs::path aside = run.file("superseded");
    make_directories(aside);
    for (const auto& path : {std::optional(entry.path), entry.twin}) {
      if (!path) continue;
      fs::path target = aside / path->filename();
      for (int n = 2; fs::exists(target); ++n) {
        target =
            aside / fmt::format("{}-{}{}", path->stem().string(), n, path->extension().string());
      }
      fs::rename(*path, target);
    }
    ++count;
  }
  if (count > 0) {
    sync_directory(run.file("superseded"));
    sync_directory(run.checkpoints());
  }
  return count;
}

// The ledger of another run directory up to the checkpoint. It appears under its name cut back:
// whoever follows it, as replay does, never takes lines of the first run for lines of this one.
void copy_ledger(const fs::path& from, const fs::path& to, const Checkpoint& checkpoint) {
  const fs::path partial = to.string() + ".partial";
  fs::copy_file(from, partial);
  if (checkpoint.ledger) {
    ledger::Writer::reopen(partial, checkpoint.ledger->update, checkpoint.ledger->chain);
  }
  fs::rename(partial, to);
}

std::optional<OpenedRun> new_run(const experiment::Config& config) {
  store::RunDirectory run = config.work_dir.empty()
                                ? store::RunDirectory::create_dated(
                                      "runs", config.name.empty() ? config.arch : config.name)
                                : store::RunDirectory::create(config.work_dir);
  store::RunLock lock = run.lock();
  return OpenedRun{std::move(run), std::move(lock), true, 0};
}

// The weights that --take means, under the names of a network.
StateDict taken(const experiment::Config& config, const store::LoadedCheckpoint& loaded) {
  const Checkpoint& checkpoint = loaded.checkpoint;
  const std::string& take = config.take;
  StateDict out;
  if (take == "student" || take == "teacher") {
    out = store::take_weights(checkpoint, take, "backbone.");
  } else if (checkpoint.type == CheckpointType::kDino && take.empty()) {
    out = store::take_weights(checkpoint, "backbone");
  } else if (take.empty() || take == "model") {
    out = experiment::network_state(checkpoint);
  } else {
    out = store::take_weights(checkpoint, take);
  }
  if (config.strip_prefix.empty()) return out;
  StateDict stripped = out.strip_prefix(config.strip_prefix);
  if (stripped.empty()) {
    fail(Code::kMismatch, "no name starts with '{}'; the first one is '{}'",
         printable(config.strip_prefix), out.empty() ? "none" : printable(out.begin()->first));
  }
  return stripped;
}

// How the run began, which is not how it was resumed: with --config the file is to begin it again.
void keep_start(experiment::Config& config, const fs::path& path) {
  const std::string origin = path.string();
  try {
    for (const auto& [spec, value] : experiment::read_config_file(origin).given) {
      if (spec->effect == experiment::Effect::kStart) set_option(config, *spec, value, origin);
    }
  } catch (const Error&) {
    // Somebody edited it; what it was is kept beside.
  }
}

// Where nothing is, the next act is to look for it.
store::LoadedCheckpoint open_to_resume(const std::string& reference, bool verify) {
  try {
    const std::string path = store::resolve(reference, store::DirectoryMeans::kLast).string();
    return store::open_checkpoint(path, {.verify = verify, .derive_uuid = verify});
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
    fail(Code::kNotFound, "{}; ckpt runs FOLDER lists the runs below a folder", error.what());
  }
}

}  // namespace

StartPoint plan_start(const std::vector<experiment::OptionLayer>& given, int world, bool verify) {
  StartPoint start;
  start.config = effective_config(given, world);
  if (start.config.resume_from.empty()) return start;

  store::LoadedCheckpoint loaded = open_to_resume(start.config.resume_from, verify);
  const std::string path = loaded.path.string();
  const Checkpoint& checkpoint = loaded.checkpoint;
  if (!checkpoint.resumable()) {
    fail(Code::kMismatch,
         "{}: holds weights without the state of an optimizer, so training cannot go on from it; "
         "start a new run from its weights with --load-from",
         path);
  }
  if (!experiment::is_training_config(checkpoint.config)) {
    std::vector<experiment::OptionLayer> layers = {options_of_foreign(checkpoint, path)};
    layers.insert(layers.end(), given.begin(), given.end());
    start.config = effective_config(layers, world);
    start.adopted = std::move(loaded);
    return start;
  }
  start.resumed = std::move(loaded);
  std::vector<experiment::OptionLayer> layers = {trained_with(*start.resumed)};
  const experiment::Config before = effective_config(layers);
  layers.insert(layers.end(), given.begin(), given.end());
  start.config = effective_config(layers, world);
  start.differences = compare_configs(before, start.config);
  refuse_changes(start);
  return start;
}

void settle_other_checkpoints(StartPoint& start) {
  experiment::Config& config = start.config;
  const bool head = config.mode == "head";
  if (!head && config.mode != "distill") return;
  std::string& reference = head ? config.backbone : config.teacher;
  experiment::OtherCheckpoint wanted;
  wanted.option = head ? "backbone" : "teacher";
  wanted.reference = reference;
  wanted.roots =
      experiment::roots_of(config.search_path, start.resumed ? start.resumed->path : fs::path());
  if (start.resumed) {
    const Json& stored = start.resumed->checkpoint.config;
    const auto text = [](const Json& json, const std::string& key) {
      return json.contains(key) && json.at(key).is_string() ? json.at(key).get<std::string>() : "";
    };
    wanted.hint = text(stored.at("derived"), wanted.option + "-path");
    if (!config.allow_config_change) wanted.uuid = Uuid::parse(text(stored, wanted.option));
  }
  const store::LoadedCheckpoint other = experiment::open_other(wanted);
  try {
    if (head) {
      config.arch = experiment::agreed_arch(other.checkpoint, config.arch, "arch");
      if (config.image_size == 0 && experiment::is_training_config(other.checkpoint.config)) {
        config.image_size =
            experiment::data_facts_from(other.checkpoint.config.at("derived")).image_size;
      }
    } else {
      config.teacher_arch =
          experiment::agreed_arch(other.checkpoint, config.teacher_arch, "teacher-arch");
    }
  } catch (const Error& error) {
    throw error.at(other.path.string());
  }
  reference = other.path.string();
}

OpenedRun open_run(const StartPoint& start) {
  if (!start.resumed) return std::move(*new_run(start.config));
  const Checkpoint& checkpoint = start.resumed->checkpoint;
  const std::optional<store::RunDirectory> origin = run_of(start.resumed->path);
  if (start.config.work_dir.empty()) {
    if (!origin) {
      fail(
          Code::kMismatch,
          "{}: is not in a run directory, which resuming would append to; give one with --work-dir",
          start.resumed->path.string());
    }
    store::RunLock lock = origin->lock();
    cut_back_logs(origin->path(), checkpoint.progress->update);
    const std::size_t set_aside = set_aside_later_saves(*origin, checkpoint);
    return {*origin, std::move(lock), false, set_aside};
  }
  OpenedRun opened = std::move(*new_run(start.config));
  if (origin) {
    if (fs::exists(origin->file("ledger.jsonl"))) {
      copy_ledger(origin->file("ledger.jsonl"), opened.directory.file("ledger.jsonl"), checkpoint);
    }
    for (const char* name : {"train.log", "train.tsv", "valid.tsv"}) {
      if (fs::exists(origin->file(name))) {
        fs::copy_file(origin->file(name), opened.directory.file(name));
      }
    }
    if (fs::exists(origin->file(kEventFolder))) {
      fs::copy(origin->file(kEventFolder), opened.directory.file(kEventFolder));
    }
    cut_back_logs(opened.directory.path(), checkpoint.progress->update);
  }
  return opened;
}

void write_config(const store::RunDirectory& run, experiment::Config config, std::uint64_t update) {
  const fs::path path = run.file("config.toml");
  const bool resumed = fs::exists(path);
  if (resumed) keep_start(config, path);
  const std::string text = fmt::format("# train --config {}\n\n{}", path.string(), to_toml(config));
  if (resumed) {
    if (read_text(path) == text) return;
    fs::path before = run.file(fmt::format("config-before-{}.toml", update));
    for (int n = 2; fs::exists(before); ++n) {
      before = run.file(fmt::format("config-before-{}-{}.toml", update, n));
    }
    fs::copy_file(path, before);
  }
  write_text(path, text);
}

engine::KeyReport load_as_told(const experiment::Config& config, const StateDict& source,
                               const std::vector<engine::NamedTensor>& targets,
                               const engine::Adapt& adapt) {
  engine::KeyReport report = engine::load_state(source, targets, false, adapt);
  if (config.strict && !report.fits()) {
    fail(Code::kMismatch,
         "the weights do not fit the network: {}\nCheck --arch and the checkpoint, or load what "
         "fits with --no-strict",
         report.text());
  }
  return report;
}

LoadedWeights load_weights(const experiment::Config& config, const engine::Network& network,
                           const engine::Weights& weights) {
  const std::string path = store::resolve(config.load_from, store::DirectoryMeans::kLast).string();
  const store::LoadedCheckpoint loaded = store::open_checkpoint(path);
  const std::string_view head = network.head_prefix();
  const bool dino = loaded.checkpoint.type == CheckpointType::kDino;
  const bool whole =
      config.take == "ema" || config.take == "model" || (config.take.empty() && !dino);
  std::vector<engine::NamedTensor> targets;
  for (engine::NamedTensor& target : weights.named()) {
    const bool in_head = target.name.starts_with(head);
    if (whole || in_head == (config.take == "head")) targets.push_back(std::move(target));
  }
  try {
    return {loaded.checkpoint.uuid, loaded.path,
            load_as_told(config, taken(config, loaded), targets, network.adapt())};
  } catch (const Error& error) {
    throw error.at(loaded.path.string());
  }
}

}  // namespace reprise::train
