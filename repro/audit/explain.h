// Why two runs parted: what their fingerprints differ in, ranked by what can explain
// the part that differs first.
#pragma once

#include "ckpt/base/json.h"
#include "repro/audit/compare_ledgers.h"

#include <string>
#include <vector>

namespace reprise::audit {

struct Explanation {
  std::string field;    // of the fingerprint, or empty for a sentence of general advice
  Json a, b;            // null: missing there
  std::string because;  // one sentence that a person would say
};

// Differences between the runs, most plausible cause first. A cause that cannot act
// as early as the part that differs (a learning rate does not change the loss of the
// first update) ranks behind those that can. Before all others stands a process that went on
// from another state than the ledgers hold. What a resume changed counts from there on.
// Without any difference, says what is left: other code outside the repository, an op
// without a fixed order, hardware.
// `fingerprint_a`, `fingerprint_b`: the statements, as fingerprint::load gives them;
// null where a run has none.
std::vector<Explanation> explain(const Divergence& divergence, const Json& fingerprint_a,
                                 const Json& fingerprint_b);

// "Same up to 411; at 412 the batch differs." as the first line of an answer.
std::string summary(const LedgerComparison& comparison);

}  // namespace reprise::audit
