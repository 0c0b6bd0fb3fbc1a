// The ledger as training writes it: one line an update.
#pragma once

#include "repro/ledger/writer.h"
#include "train/learner.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace reprise::train {

// What an update did, beside the state it left.
struct UpdateRecord {
  std::span<const std::uint64_t> samples;  // ids of its global batch, in order
  std::uint64_t epoch = 0;                 // from 0
  double loss = 0;
  at::Tensor gradient;  // reduced, before clipping
};

// The digest of everything that the next update starts from: what a line holds as "param".
std::string state_digest(const Learner& learner, const Mode& mode, unsigned jobs);

// Each tensor that the next update starts from, with its digest.
using TensorDigests = std::vector<std::pair<std::string, std::string>>;
TensorDigests tensor_digests(const Learner& learner, const Mode& mode, unsigned jobs);

// What the ledger beside a checkpoint says that its state is; nothing without such a line. Cost:
// one read of the ledger. Errors: kCorrupt naming the line at which its chain breaks; kIo.
std::optional<std::string> recorded_state(const std::filesystem::path& checkpoint,
                                          std::uint64_t update);

// Digests and appends. Owned by the training thread. Cost: one read of gradient, weights and
// optimizer state at memory speed.
class RunLedger {
 public:
  // `tensors_every`: one digest a tensor each so many updates; 0: never. `seed`: for the line's
  // digest of random streams, which are a function of seed, epoch and position.
  RunLedger(ledger::Writer writer, std::uint64_t seed, std::uint64_t tensors_every, unsigned jobs)
      : writer_(std::move(writer)), seed_(seed), tensors_every_(tensors_every), jobs_(jobs) {}

  // Errors: kIo; the update does not count then.
  void append(const Learner& learner, const Mode& mode, const UpdateRecord& record);

  LedgerPosition position() const { return {writer_.last_update(), writer_.chain()}; }

 private:
  ledger::Writer writer_;
  std::uint64_t seed_;
  std::uint64_t tensors_every_;
  unsigned jobs_;
};

}  // namespace reprise::train
