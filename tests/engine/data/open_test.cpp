#include "engine/data/open.h"

#include "ckpt/base/error.h"

#include <gmock/gmock.h>

#include <array>

namespace reprise::engine {
namespace {

using testing::HasSubstr;

std::string message_of(std::string_view spec, Code code) {
  try {
    open_dataset(spec, Split::kTrain);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(OpenDataset, NamesTheNearestBuiltInSet) {
  EXPECT_THAT(message_of("builtin:road", Code::kNotFound),
              HasSubstr("did you mean builtin:roads?"));
  EXPECT_THAT(message_of("buildin:roads", Code::kNotFound),
              HasSubstr("did you mean builtin:roads?"));
  EXPECT_THAT(message_of("/no/such/place", Code::kNotFound), HasSubstr("no such file or folder"));
}

TEST(Roads, TrainingAndValidationAreDisjointRegressionSets) {
  const auto train = open_dataset("builtin:roads", Split::kTrain);
  const auto validation = open_dataset("builtin:roads", Split::kValidation);
  EXPECT_TRUE(has_validation("builtin:roads"));
  EXPECT_EQ(train->size(), 8192U);
  EXPECT_EQ(validation->size(), 1024U);
  EXPECT_EQ(train->task(), Task::kRegression);
  EXPECT_THAT(train->target_names(), testing::ElementsAre("steering"));
  EXPECT_EQ(train->mirror_rule(), MirrorRule::kNegates);
  EXPECT_EQ(train->native_size(), (ImageSize{64, 64}));
  EXPECT_NE(train->digest(), validation->digest());
  EXPECT_NE(train->read(0).image.pixels, validation->read(0).image.pixels);
  EXPECT_EQ(train->read(17).values, train->target(17).values);
  EXPECT_THROW(train->read(8192), Error);
}

TEST(Digits, AreTenBalancedClassesThatLookTheSameEachTime) {
  const auto set = open_dataset("builtin:digits", Split::kTrain);
  std::array<int, 10> counts{};
  for (std::uint64_t id = 0; id < 1000; ++id) {
    ++counts[static_cast<std::size_t>(set->target(id).label)];
  }
  EXPECT_THAT(counts, testing::Each(100));
  EXPECT_EQ(set->mirror_rule(), MirrorRule::kForbids);
  const Sample sample = set->read(5);
  EXPECT_EQ(sample.image.pixels, set->read(5).image.pixels);
  EXPECT_EQ(sample.label, set->target(5).label);
  EXPECT_EQ(sample.image.channels, 1);
  EXPECT_EQ(sample.image.size(), (ImageSize{32, 32}));
}

TEST(OpenDataset, CachingChangesNothingButTime) {
  OpenOptions options;
  options.cache = true;
  const auto cached = open_dataset("builtin:roads", Split::kTrain, options);
  const auto plain = open_dataset("builtin:roads", Split::kTrain);
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t id = 0; id < 20; ++id) {
      EXPECT_EQ(cached->read(id).image.pixels, plain->read(id).image.pixels);
      EXPECT_EQ(cached->read(id).values, plain->read(id).values);
    }
  }
  EXPECT_EQ(cached->digest(), plain->digest());
  options.cache_limit_bytes = 30000;  // two images of 12 KiB
  const auto little = open_dataset("builtin:roads", Split::kTrain, options);
  for (std::uint64_t id = 0; id < 20; ++id) {
    EXPECT_EQ(little->read(id).image.pixels, plain->read(id).image.pixels);
  }
}

TEST(OpenDataset, MaxSamplesSpreadsOverTheSetAndShowsInTheDigest) {
  OpenOptions options;
  options.max_samples = 100;
  const auto part = open_dataset("builtin:roads", Split::kTrain, options);
  const auto whole = open_dataset("builtin:roads", Split::kTrain);
  EXPECT_EQ(part->size(), 100U);
  EXPECT_EQ(part->name(99), whole->name(99 * 8192 / 100));
  EXPECT_NE(part->digest(), whole->digest());
  options.max_samples = 8192;
  EXPECT_EQ(open_dataset("builtin:roads", Split::kTrain, options)->digest(), whole->digest());
}

TEST(OpenDataset, GeneratedSideIsChecked) {
  OpenOptions options;
  options.generated_side = 3;
  EXPECT_THROW(open_dataset("builtin:roads", Split::kTrain, options), Error);
  EXPECT_THROW(open_dataset("builtin:digits", Split::kTrain, options), Error);
  options.generated_side = 96;
  EXPECT_EQ(open_dataset("builtin:roads", Split::kTrain, options)->read(0).image.size(),
            (ImageSize{96, 96}));
}

}  // namespace
}  // namespace reprise::engine
