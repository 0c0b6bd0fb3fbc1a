#include "train/run_fingerprint.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "experiment/fingerprint_options.h"
#include "repro/fingerprint/difference.h"
#include "repro/fingerprint/fingerprint.h"
#include "repro/snapshot/snapshot.h"

namespace reprise::train {
namespace {

fingerprint::DataDigest data_digest(std::string name, std::string path, std::uint64_t samples,
                                    const std::string& digest) {
  return {std::move(name), std::move(path), samples, 0, Digest::from_hex(digest)};
}

void write_snapshot(const std::filesystem::path& run, const fingerprint::CodeState& code,
                    RunLog& log) {
  const auto name = fingerprint::name_for_snapshot(run, code.tree);
  if (!name) return;
  try {
    const snapshot::Snapshot written = snapshot::write(code, run / *name);
    fingerprint::add_byproduct(run, *name, written.sha256,
                               {{"tree", written.tree}, {"files", written.files}});
  } catch (const Error& error) {
    if (error.code() != Code::kNo) throw;
    log.warn(fmt::format("no snapshot of the code: {}", error.what()));
  }
}

}  // namespace

RunFingerprint::RunFingerprint(const std::filesystem::path& run, const FingerprintFacts& facts,
                               RunLog* log)
    : run_(run) {
  const experiment::Config& config = facts.config;
  fingerprint::Options options =
      experiment::fingerprint_options(config, facts.device, facts.threads, run);
  // A backbone or teacher is who it is, wherever it lies; where it lay goes into the record.
  facts.mode.describe_config(options.configuration);
  const Json places = options.configuration.value("derived", Json::object());
  options.configuration.erase("derived");
  options.data.push_back(
      data_digest("train", config.data, facts.facts.train_samples, facts.facts.train_digest));
  if (facts.facts.val_samples > 0) {
    options.data.push_back(data_digest("val",
                                       config.val_data.empty() ? config.data : config.val_data,
                                       facts.facts.val_samples, facts.facts.val_digest));
  }
  options.code = facts.rank == 0;
  const fingerprint::Fingerprint captured = fingerprint::capture(options);
  digest_ = fingerprint::digest(captured.statement);

  fingerprint::Record record;
  record.rank = facts.rank;
  record.world_size = facts.world;
  if (facts.rank != 0) record.kind = "process";
  if (!facts.resumed_from.empty()) {
    if (facts.rank == 0) record.kind = "resume";
    record.details["resumed_from"] = facts.resumed_from;
  }
  record.details.update(places);
  record.details["from_update"] = facts.from_update;
  if (facts.world > 1) record.details["sums"] = facts.road;
  if (facts.rank == 0) record.details["state"] = facts.state;
  id_ = fingerprint::record(run, captured, record);
  if (log != nullptr && captured.code && !captured.code->bare)
    write_snapshot(run, *captured.code, *log);
}

void RunFingerprint::finish(int exit_code) {
  fingerprint::finish(
      run_, id_, exit_code,
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
}

}  // namespace reprise::train
