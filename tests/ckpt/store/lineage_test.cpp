#include "ckpt/store/lineage.h"

#include "ckpt/store/save.h"
#include "tests/ckpt/store/sample_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise::store {
namespace {

using testing::HasSubstr;

// 1 <- 2 (resumed), 9 <- 2 (loaded, missing), 1 <- 3 (backbone, another run), 4 alone.
class LineageTest : public testing::Test {
 protected:
  void SetUp() override {
    save(sample::model(1, 1, 0), first_.checkpoints());
    Checkpoint second = sample::model(2, 2, 0);
    second.parents = {{sample::uuid(1), Relation::kResumed}, {sample::uuid(9), Relation::kLoaded}};
    save(second, first_.checkpoints());
    save(sample::model(4, 4, 0), first_.checkpoints());
    save(sample::head_for(3, sample::uuid(1)), second_.checkpoints());
  }

  const sample::Scratch root_;
  const RunDirectory first_ = RunDirectory::create(root_ / "a");
  const RunDirectory second_ = RunDirectory::create(root_ / "b");
};

TEST_F(LineageTest, FindsParentsOverRunsAndMarksWhatIsMissing) {
  const LineageGraph graph = lineage({first_, second_});
  ASSERT_EQ(graph.nodes.size(), 5U);
  ASSERT_EQ(graph.edges.size(), 3U);
  EXPECT_EQ(graph.nodes[4].uuid, sample::uuid(9));
  EXPECT_FALSE(graph.nodes[4].path);
  const Json json = graph.to_json();
  EXPECT_EQ(json["nodes"][4]["missing"], true);
  EXPECT_EQ(json["edges"][0]["relation"], "resumed");
  EXPECT_EQ(json["edges"][2]["relation"], "backbone");
}

TEST_F(LineageTest, ConnectedPartLeavesOthersOut) {
  const LineageGraph graph = lineage({first_, second_});
  EXPECT_EQ(connected(graph, sample::uuid(3)).nodes.size(), 4U);
  EXPECT_EQ(connected(graph, sample::uuid(4)).nodes.size(), 1U);
  EXPECT_EQ(connected(graph, sample::uuid(77)).nodes.size(), 0U);
}

TEST_F(LineageTest, DotDashesMissingFiles) {
  const std::string dot = lineage({first_, second_}).to_dot();
  EXPECT_THAT(dot, HasSubstr("digraph lineage {"));
  EXPECT_THAT(dot, HasSubstr("\"" + sample::uuid(9).text() + "\" [label=\"missing"));
  EXPECT_THAT(dot, HasSubstr("style=dashed"));
  EXPECT_THAT(dot, HasSubstr("\"" + sample::uuid(2).text() + "\" -> \"" + sample::uuid(1).text() +
                             "\" [label=\"resumed\"]"));
}

TEST_F(LineageTest, NamesFromFilesCannotBreakTheDotText) {
  Checkpoint c = sample::model(5, 5, 0);
  c.arch = "a\"];\n evil [label=\"";
  save(c, first_.checkpoints());
  const std::string dot = lineage({first_}).to_dot();
  EXPECT_THAT(dot, HasSubstr("a\\\"];\\\\x0a evil"));
}

}  // namespace
}  // namespace reprise::store
