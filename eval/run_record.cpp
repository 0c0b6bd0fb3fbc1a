#include "eval/run_record.h"

#include "ckpt/base/error.h"
#include "engine/determinism/determinism.h"
#include "repro/fingerprint/fingerprint.h"
#include "train/run_fingerprint.h"

namespace reprise::eval {
namespace {

namespace fs = std::filesystem;

// The name of repro sign's envelope.
constexpr const char* kSignature = "attestation.dsse.json";

fingerprint::Fingerprint captured(const fs::path& run, const Subject& subject, c10::Device device,
                                  unsigned threads) {
  fingerprint::Options options;
  options.command = train::own_command();
  options.configuration = train::to_json(subject.config);
  options.seeds = {{"seed", subject.config.seed}};
  options.determinism = engine::determinism_state(device);
  options.software = engine::software_state();
  options.software["threads"] = threads;
  options.software["program"] = sha256_file("/proc/self/exe").hex();
  if (!subject.facts.train_digest.empty()) {
    options.data.push_back({"train", subject.config.data, subject.facts.train_samples, 0,
                            Digest::from_hex(subject.facts.train_digest)});
  }
  options.data.push_back(
      {"val", subject.config.val_data.empty() ? subject.config.data : subject.config.val_data,
       subject.dataset->size(), 0, subject.dataset->digest()});
  options.code_options.leave_out.push_back(run);
  return fingerprint::capture(options);
}

}  // namespace

RunRecord::RunRecord(const fs::path& run, const Subject& subject, c10::Device device,
                     unsigned threads, Io& io)
    : run_(run) {
  if (!subject.trained_here || !fs::exists(run / fingerprint::kFileName)) return;
  if (fs::exists(run / kSignature)) {
    io.detail("the run is signed: this evaluation is not recorded in its fingerprint");
    return;
  }
  fingerprint::Record record;
  record.kind = "eval";
  record.details["checkpoint"] = subject.loaded.path.filename().string();
  try {
    id_ = fingerprint::record(run, captured(run, subject, device, threads), record);
  } catch (const Error& error) {
    io.warn("not recorded in the fingerprint: {}", error.what());
  }
}

void RunRecord::finish(int exit_code) {
  if (id_.empty()) return;
  fingerprint::finish(
      run_, id_, exit_code,
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
}

}  // namespace reprise::eval
