#include "experiment/held_out.h"

#include "ckpt/base/error.h"
#include "engine/random/stream.h"

#include <algorithm>
#include <cmath>

namespace reprise::experiment {
namespace {

// Some samples of another set, in ascending order.
class Part : public engine::Dataset {
 public:
  Part(std::shared_ptr<const engine::Dataset> whole, std::vector<std::uint64_t> ids)
      : whole_(std::move(whole)), ids_(std::move(ids)) {}

  std::uint64_t size() const override { return ids_.size(); }
  engine::Task task() const override { return whole_->task(); }
  const std::vector<std::string>& class_names() const override { return whole_->class_names(); }
  const std::vector<std::string>& target_names() const override { return whole_->target_names(); }
  engine::MirrorRule mirror_rule() const override { return whole_->mirror_rule(); }
  engine::ImageSize native_size() const override { return whole_->native_size(); }
  int channels() const override { return whole_->channels(); }
  engine::Normalisation normalisation() const override { return whole_->normalisation(); }
  engine::Sample read(std::uint64_t id) const override { return whole_->read(of_whole(id)); }
  engine::Sample target(std::uint64_t id) const override { return whole_->target(of_whole(id)); }
  std::string name(std::uint64_t id) const override { return whole_->name(of_whole(id)); }
  const std::vector<engine::BadSample>& bad_samples() const override {
    return whole_->bad_samples();
  }

  Digest digest() const override {
    Sha256 hash;
    hash.update("part of ").update(whole_->digest().hex());
    for (const std::uint64_t id : ids_) hash.update(fmt::format(" {}", id));
    return hash.finish();
  }

 private:
  std::uint64_t of_whole(std::uint64_t id) const {
    if (id >= ids_.size()) fail(Code::kInternal, "sample {} of {}", id, ids_.size());
    return ids_[id];
  }
  std::shared_ptr<const engine::Dataset> whole_;
  std::vector<std::uint64_t> ids_;
};

}  // namespace

HeldOut hold_out(std::shared_ptr<const engine::Dataset> whole, double share, std::uint64_t seed) {
  const std::uint64_t size = whole->size();
  const auto count = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::floor(static_cast<double>(size) * share + 0.5)));
  if (count >= size) {
    fail(Code::kUsage, "val-split = {} of {} samples leaves none to learn from", share, size);
  }
  const std::vector<std::uint64_t> order =
      engine::permutation(engine::Stream(seed, engine::Domain::kEvaluation), size);
  const auto cut = order.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<std::uint64_t> validation(order.begin(), cut), train(cut, order.end());
  std::sort(validation.begin(), validation.end());
  std::sort(train.begin(), train.end());
  return {std::make_shared<Part>(whole, std::move(train)),
          std::make_shared<Part>(whole, std::move(validation))};
}

}  // namespace reprise::experiment
