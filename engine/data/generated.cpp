#include "engine/data/generated.h"

#include "ckpt/base/error.h"
#include "engine/data/digits.h"
#include "engine/data/roads.h"

#include <fmt/format.h>

namespace reprise::engine {
namespace {

constexpr std::uint64_t kTrainSamples = 8192;
constexpr std::uint64_t kValidationSamples = 1024;

// What both sets share: a range of sample numbers, all drawn at one size.
class GeneratedSet : public Dataset {
 public:
  GeneratedSet(std::string_view name, std::string_view version, std::uint64_t first,
               std::uint64_t samples, int side)
      : name_(name), version_(version), first_(first), samples_(samples), side_(side) {}

  std::uint64_t size() const override { return samples_; }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  const std::vector<std::string>& target_names() const override { return target_names_; }
  ImageSize native_size() const override { return {side_, side_}; }

  std::string name(std::uint64_t id) const override {
    return fmt::format("{}#{}", name_, number(id));
  }
  Digest digest() const override {
    return sha256(fmt::format("{} version {}: {} samples from {}, side {}", name_, version_,
                              samples_, first_, side_));
  }
  const std::vector<BadSample>& bad_samples() const override { return bad_samples_; }

 protected:
  // The sample's number in the generator. Errors: kInternal.
  std::uint64_t number(std::uint64_t id) const {
    if (id >= samples_) {
      fail(Code::kInternal, "sample {} of {}, which has {}", id, name_, samples_);
    }
    return first_ + id;
  }

  std::string name_, version_;
  std::uint64_t first_, samples_;
  int side_;
  std::vector<std::string> class_names_, target_names_;
  std::vector<BadSample> bad_samples_;
};

class RoadsSet final : public GeneratedSet {
 public:
  RoadsSet(Split split, int side)
      : GeneratedSet("builtin:roads", roads::kVersion,
                     split == Split::kTrain ? roads::kTrainFirst : roads::kValidationFirst,
                     split == Split::kTrain ? kTrainSamples : kValidationSamples, side) {
    target_names_ = {"steering"};
    roads::render_image(first_, native_size());  // checks the size
  }
  Task task() const override { return Task::kRegression; }
  MirrorRule mirror_rule() const override { return MirrorRule::kNegates; }
  int channels() const override { return 3; }
  Normalisation normalisation() const override {
    return {{0.5F, 0.5F, 0.5F}, {0.25F, 0.25F, 0.25F}};
  }

  Sample read(std::uint64_t id) const override {
    roads::Frame frame = roads::render_image(number(id), native_size());
    return {std::move(frame.image), -1, {frame.steering}};
  }
  Sample target(std::uint64_t id) const override { return {{}, -1, {roads::steering(number(id))}}; }
};

class DigitsSet final : public GeneratedSet {
 public:
  DigitsSet(Split split, int side)
      : GeneratedSet("builtin:digits", digits::kVersion,
                     split == Split::kTrain ? digits::kTrainFirst : digits::kValidationFirst,
                     split == Split::kTrain ? kTrainSamples : kValidationSamples, side) {
    for (int digit = 0; digit < 10; ++digit) {
      class_names_.push_back(std::to_string(digit));
    }
    digits::render(first_, side);  // checks the size
  }
  Task task() const override { return Task::kClassification; }
  MirrorRule mirror_rule() const override { return MirrorRule::kForbids; }
  int channels() const override { return 1; }
  Normalisation normalisation() const override {
    return {{0.35F, 0.35F, 0.35F}, {0.35F, 0.35F, 0.35F}};
  }

  Sample read(std::uint64_t id) const override {
    const std::uint64_t index = number(id);
    return {digits::render(index, side_), digits::label(index), {}};
  }
  Sample target(std::uint64_t id) const override { return {{}, digits::label(number(id)), {}}; }
};

}  // namespace

std::shared_ptr<const Dataset> generated_roads(Split split, int side) {
  constexpr int kDefaultSide = 64;
  return std::make_shared<RoadsSet>(split, side == 0 ? kDefaultSide : side);
}

std::shared_ptr<const Dataset> generated_digits(Split split, int side) {
  constexpr int kDefaultSide = 32;
  return std::make_shared<DigitsSet>(split, side == 0 ? kDefaultSide : side);
}

}  // namespace reprise::engine
