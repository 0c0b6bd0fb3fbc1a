// Where two ledgers part, and what parted first.
#pragma once

#include "repro/ledger/line.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::audit {

// In the order in which an update happens; the first one that differs is named.
enum class Part : std::uint8_t { kData, kLoss, kGradient, kParameters };
std::string_view to_string(Part part);  // "data", "loss", "gradient", "parameters"

// The first part in which two lines of one update differ; kParameters when none does.
Part first_difference(const ledger::UpdateLine& a, const ledger::UpdateLine& b);

struct Divergence {
  ledger::UpdateLine a, b;  // the lines that differ
  Part what = Part::kData;
  bool random_differs = false;  // seed or position of the random streams, too
  // The state after the last update that both have alike, by its digest; empty: there is none.
  std::string state_before;
};

// A tensor that differs, by the first record of tensor digests at or after the divergence.
struct DifferingTensors {
  std::uint64_t update = 0;        // of that record; 0: neither ledger has one
  std::size_t recorded = 0;        // tensors that both have
  std::vector<std::string> names;  // that differ, in the order of the record
};

struct LedgerComparison {
  bool same = false;                           // everything that both recorded is equal
  std::uint64_t updates_a = 0, updates_b = 0;  // last update of each
  std::uint64_t compared_updates = 0;          // aligned ones, up to the divergence
  std::uint64_t same_until = 0;                // the last update that is equal
  bool aligned_by_samples = false;             // the runs count updates differently
  std::optional<Divergence> divergence;
  DifferingTensors tensors;
};

// Aligns two ledgers by samples seen and compares update by update, whatever their
// lengths, and whether or not they record tensors. Runs that share a prefix are
// compared there at memory speed; memory is a few MiB.
// Errors: kNotFound; kCorrupt when a file is no ledger, or when the line at which they
// part, or the one behind it, does not fit its chain (it was edited); kMismatch when
// the runs have no number of samples in common.
LedgerComparison compare_ledgers(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace reprise::audit
