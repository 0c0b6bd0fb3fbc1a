#include "repro/audit/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise::audit {
namespace {

Json statement(const Json& configuration, const std::string& tree = "1",
               const std::string& data = "2") {
  const Json code = {{"name", "code"}, {"annotations", {{"tree", tree}}}};
  const Json set = {{"name", "data/train"}, {"digest", {{"sha256", data}}}};
  return {{"predicate",
           {{"buildDefinition",
             {{"externalParameters",
               {{"configuration", configuration},
                {"seeds", {{"seed", configuration.value("seed", 1)}}}}},
              {"internalParameters", Json::object()},
              {"resolvedDependencies", Json::array({code, set})}}}}}};
}

Divergence at(std::uint64_t update, Part what) {
  Divergence divergence;
  divergence.a.update = divergence.b.update = update;
  divergence.what = what;
  return divergence;
}

TEST(Explain, SeedIsTheCauseOfOtherData) {
  const auto list = explain(at(1, Part::kData), statement({{"seed", 1}}), statement({{"seed", 2}}));
  ASSERT_FALSE(list.empty());
  EXPECT_THAT(list.front().field, ::testing::HasSubstr("seed"));
}

TEST(Explain, ImageIsTheCauseOfAnotherLossWithTheSameIds) {
  const auto list = explain(at(7, Part::kLoss), statement(Json::object(), "1", "2"),
                            statement(Json::object(), "1", "3"));
  EXPECT_THAT(list.front().field, ::testing::HasSubstr("data.train"));
}

TEST(Explain, LearningRateRanksFirstWhereOnlyParametersDiffer) {
  const auto list = explain(at(5, Part::kParameters), statement({{"lr", 0.1}}, "1"),
                            statement({{"lr", 0.2}}, "9"));
  ASSERT_GE(list.size(), 2u);
  EXPECT_THAT(std::vector<std::string>({list[0].field, list[1].field}),
              ::testing::Contains("configuration.lr"));
}

TEST(Explain, LearningRateDoesNotExplainOtherData) {
  const auto list = explain(at(5, Part::kData), statement({{"lr", 0.1}}), statement({{"lr", 0.2}}));
  EXPECT_EQ(list.front().field, "") << "advice comes before a cause that acts too late";
}

TEST(Explain, WithoutAnyDifferenceItSaysWhatIsLeft) {
  const auto list =
      explain(at(9, Part::kParameters), statement(Json::object()), statement(Json::object()));
  ASSERT_EQ(list.size(), 1u);
  EXPECT_THAT(list.front().because, ::testing::HasSubstr("hardware error"));
}

}  // namespace
}  // namespace reprise::audit
