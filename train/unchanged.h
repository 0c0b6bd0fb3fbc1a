// Whether what a run resumes from is what it was.
#pragma once

#include "experiment/data_facts.h"
#include "train/run_log.h"
#include "train/start.h"

#include <c10/core/Device.h>

#include <string>

namespace reprise::train {

// Compares the training data with those that the resumed checkpoint was trained on. Errors:
// kMismatch for others; with --allow-config-change they are said in `log`, where there is one.
void refuse_changed_data(const StartPoint& start, const experiment::DataFacts& now, RunLog* log);

// Compares the kind of device that computes with the one that the resumed checkpoint's run had; an
// older checkpoint may not say its own. Errors: kMismatch for another kind; with
// --allow-config-change it joins the differences of `start`.
void refuse_changed_device(StartPoint& start, c10::Device device);

// Compares the digest of the restored state with what the ledger recorded after the same update.
// Errors: kMismatch for another one, but with --allow-config-change.
void refuse_changed_state(const StartPoint& start, const std::string& state);

}  // namespace reprise::train
