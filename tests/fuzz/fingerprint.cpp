// Fingerprints from anywhere: refused with an Error when loaded, or every question about them has
// an answer.
#include "repro/fingerprint/fingerprint.h"
#include "repro/audit/explain.h"
#include "repro/fingerprint/difference.h"
#include "repro/fingerprint/difference_text.h"

#include "ckpt/base/error.h"
#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace reprise;
  static const Json ours = [] {
    fingerprint::Options options;
    options.code = false;
    options.directory = "/";
    options.seeds = {{"seed", 1}};
    return fingerprint::capture(options).statement;
  }();
  const MemoryFile file(data, size);
  Json theirs;
  try {
    theirs = fingerprint::load(file.path());
  } catch (const Error& error) {
    if (error.code() == Code::kInternal) std::abort();
    return 0;
  }
  if (!fingerprint::differences(theirs, theirs).empty()) std::abort();
  if (fingerprint::digest(theirs) != fingerprint::digest(theirs)) std::abort();
  for (const auto& one : fingerprint::differences(ours, theirs)) {
    fingerprint::text_of(one.field, one.a, one.b);
  }
  audit::Divergence divergence;
  divergence.a.update = divergence.b.update = 2;
  audit::explain(divergence, theirs, ours);
  audit::explain(divergence, ours, theirs);
  return 0;
}
