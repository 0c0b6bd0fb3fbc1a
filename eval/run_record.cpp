#include "eval/run_record.h"

#include "ckpt/base/error.h"
#include "experiment/fingerprint_options.h"

namespace reprise::eval {
namespace {

namespace fs = std::filesystem;

// The name of repro sign's envelope.
constexpr const char* kSignature = "attestation.dsse.json";

fingerprint::Fingerprint captured(const fs::path& run, const Subject& subject, c10::Device device,
                                  unsigned threads) {
  fingerprint::Options options =
      experiment::fingerprint_options(subject.config, device, threads, run);
  if (!subject.facts.train_digest.empty()) {
    options.data.push_back({"train", subject.config.data, subject.facts.train_samples, 0,
                            Digest::from_hex(subject.facts.train_digest)});
  }
  options.data.push_back(
      {"val", subject.config.val_data.empty() ? subject.config.data : subject.config.val_data,
       subject.dataset->size(), 0, subject.dataset->digest()});
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
