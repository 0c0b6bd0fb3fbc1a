#include "repro/report/page.h"

#include "repro/report/html.h"
#include "repro/report/lineage_svg.h"

#include <gmock/gmock.h>

namespace reprise::report {
namespace {

using testing::HasSubstr;
using testing::Not;

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
  return n;
}

TEST(Html, MarkupAndControlCharactersLoseTheirMeaning) {
  EXPECT_EQ(html("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
  EXPECT_EQ(html(std::string("\0\x1b\xff", 3)), "\\x00\\x1b\\xff");
  EXPECT_EQ(html(std::string(500, '<'), 2), "&lt;&lt;...");
}

TEST(Page, NothingFromAFileBecomesMarkup) {
  const std::string evil = "</title><script>alert(1)</script><img src=x onerror=y>'\"";
  PageContent content;
  RunRecord run;
  run.path = "/tmp/" + evil;
  run.label = evil;
  run.info.host = evil;
  run.info.started = evil;
  run.problems = {evil};
  run.valid.columns = {evil, "val/loss"};
  run.valid.rows = {{1, 0, 32, {1, 2}}, {2, 1, 64, {3, 4}}};
  run.fingerprint = parse_json(R"({"predicate":{"buildDefinition":{"externalParameters":
    {"configuration":{},"seeds":{},"command":[]},"internalParameters":{"hardware":{}},
    "resolvedDependencies":[]}}})");
  run.fingerprint["predicate"]["buildDefinition"]["externalParameters"]["configuration"] = {
      {"arch", evil}, {evil, evil}, {"major-metric", evil}};
  content.runs = {run, run};
  content.health = {Health{}, Health{}};
  content.health[0].problems = {evil};
  Comparison comparison;
  comparison.b = 1;
  comparison.why_not = evil;
  comparison.explanations = {{evil, evil, evil, evil}};
  comparison.fields = {{evil, evil, evil, fingerprint::Influence::kLikely, 0}};
  content.comparisons = {comparison};
  store::LineageNode node;
  node.uuid = Uuid::random();
  node.path = "/tmp/" + evil;
  node.type = node.arch = evil;
  content.lineage.nodes = {node};
  content.made = evil;
  const std::string text = page(content);
  EXPECT_THAT(text, Not(HasSubstr("<script")));
  EXPECT_THAT(text, Not(HasSubstr("<img")));
  EXPECT_EQ(count(text, "</title>"), count(text, "<title>"));
  EXPECT_THAT(text, HasSubstr("&lt;script&gt;"));
}

TEST(Page, NeedsNothingFromElsewhere) {
  PageContent content;
  content.runs.resize(1);
  content.health.resize(1);
  const std::string text = page(content);
  EXPECT_THAT(text, HasSubstr("default-src 'none'"));
  for (const char* part : {"http:", "https:", "@import", "<link", "src="})
    EXPECT_THAT(text, Not(HasSubstr(part)));
}

TEST(LineageSvg, SavesOfOneRunShareABoxAndACycleEnds) {
  store::LineageGraph graph;
  const Uuid run = Uuid::random();
  for (std::uint64_t i = 0; i < 7; ++i) {
    store::LineageNode node;
    node.uuid = Uuid::random();
    if (i > 0) {
      node.path = "/runs/a/" + std::to_string(i);
      node.run = run;
      node.epoch = i;
      graph.edges.push_back({i, 0, Relation::kLoaded});
    }
    graph.nodes.push_back(node);
  }
  const std::string svg = lineage_svg(graph, {{run, "demo"}});
  EXPECT_EQ(count(svg, "<rect"), 2u);  // the missing parent, and six saves
  EXPECT_THAT(svg, HasSubstr("6 saves, epochs 1 to 6"));
  EXPECT_THAT(svg, HasSubstr("missing"));
  // Two files that each claim to come from the other.
  graph.edges = {{1, 2, Relation::kLoaded}, {2, 1, Relation::kResumed}};
  EXPECT_EQ(count(lineage_svg(graph, {}), "class=\"edge\""), 2u);
}

}  // namespace
}  // namespace reprise::report
