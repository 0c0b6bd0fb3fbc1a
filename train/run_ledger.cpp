#include "train/run_ledger.h"

#include "engine/torch_bridge/fetch.h"
#include "engine/torch_bridge/tensor.h"
#include "repro/ledger/reader.h"

#include <fmt/format.h>

#include <deque>
#include <utility>

namespace reprise::train {
namespace {

// Contiguous bytes of a tensor: its own memory where it lies so, else a copy kept in `kept`.
Bytes contiguous_bytes(const Tensor& tensor, std::deque<std::vector<std::byte>>& kept) {
  if (tensor.size_bytes() == 0) return {};
  const Bytes bytes = tensor.in_place();
  return bytes.empty() ? Bytes(kept.emplace_back(tensor.to_bytes())) : bytes;
}

std::string digest_of(std::string_view name, DType dtype, std::int64_t count, Bytes bytes,
                      unsigned jobs) {
  const std::int64_t shape[] = {count};
  return ledger::digest_tensor({name, dtype, shape, bytes}, jobs).hex();
}

// One digest a tensor of what the next update starts from, in the order of `tensors`.
std::vector<ledger::TensorDigest> digests_of(
    const std::vector<std::pair<std::string, Tensor>>& tensors, unsigned jobs) {
  std::vector<Tensor> values;
  for (const auto& [name, tensor] : tensors) values.push_back(tensor);
  values = engine::fetched(std::move(values));
  std::deque<std::vector<std::byte>> kept;
  std::vector<ledger::TensorView> views;
  views.reserve(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    views.push_back({tensors[i].first, values[i].dtype(), values[i].shape(),
                     contiguous_bytes(values[i], kept)});
  }
  return ledger::digest_tensors(views, jobs);
}

}  // namespace

std::string state_digest(const Learner& learner, const Mode& mode, unsigned jobs) {
  Arena arena;
  return ledger::combine(digests_of(state_tensors(learner, mode, arena), jobs)).hex();
}

TensorDigests tensor_digests(const Learner& learner, const Mode& mode, unsigned jobs) {
  Arena arena;
  const auto tensors = state_tensors(learner, mode, arena);
  const auto digests = digests_of(tensors, jobs);
  TensorDigests named;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    named.emplace_back(tensors[i].first, digests[i].hex());
  }
  return named;
}

std::optional<std::string> recorded_state(const std::filesystem::path& checkpoint,
                                          std::uint64_t update) {
  const std::filesystem::path run =
      std::filesystem::absolute(checkpoint).lexically_normal().parent_path().parent_path();
  const std::filesystem::path path = run / "ledger.jsonl";
  if (!std::filesystem::exists(path)) return std::nullopt;
  ledger::Reader reader = ledger::Reader::open(path);
  std::optional<std::string> found;
  while (const auto line = reader.next()) {
    if (line->update && line->update->update == update) found = line->update->param;
  }
  return found;
}

void RunLedger::append(const Learner& learner, const Mode& mode, const UpdateRecord& record) {
  const std::uint64_t update = learner.progress.update;
  Arena arena;
  const auto tensors = state_tensors(learner, mode, arena);
  const std::vector<ledger::TensorDigest> digests = digests_of(tensors, jobs_);

  std::deque<std::vector<std::byte>> kept;
  const Tensor gradient = engine::view_of(record.gradient);
  const std::string random = fmt::format("philox4x32-10 seed {} epoch {} batch {}", seed_,
                                         learner.progress.epoch, learner.progress.batch_cursor);
  ledger::UpdateLine line;
  line.update = update;
  line.epoch = record.epoch;
  line.samples = learner.progress.samples_seen;
  line.batch = digest_of("batch", DType::kUInt64, static_cast<std::int64_t>(record.samples.size()),
                         std::as_bytes(record.samples), 1);
  line.loss = record.loss;
  line.grad = digest_of("gradient", gradient.dtype(), gradient.elements(),
                        contiguous_bytes(gradient, kept), jobs_);
  line.param = ledger::combine(digests).hex();
  line.rng = digest_of("random", DType::kUInt8, static_cast<std::int64_t>(random.size()),
                       as_bytes(random), 1);
  writer_.append(line);

  if (tensors_every_ == 0 || update % tensors_every_ != 0) return;
  ledger::TensorsLine details{update, {}};
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    details.digests.emplace_back(tensors[i].first, digests[i].hex());
  }
  writer_.append(details);
}

}  // namespace reprise::train
