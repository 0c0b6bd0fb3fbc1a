#include "repro/report/lineage_svg.h"

#include "repro/report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

namespace reprise::report {
namespace {

constexpr std::size_t kMostBoxes = 150;
constexpr double kBoxWidth = 172, kBoxHeight = 62, kGapX = 18, kGapY = 46;

struct Box {
  std::vector<std::size_t> nodes;
  std::size_t layer = 0;
  double x = 0, y = 0;
};

struct Arrow {
  std::size_t parent, child;  // boxes
  store::LineageEdge edge;
};

struct Layout {
  std::vector<Box> boxes;
  std::vector<Arrow> arrows;
  double width = 0, height = 0;
};

std::vector<Box> boxes_of(const store::LineageGraph& graph, std::vector<std::size_t>& box_of) {
  std::vector<std::set<std::pair<std::size_t, Relation>>> parents(graph.nodes.size());
  std::vector<bool> has_child(graph.nodes.size(), false);
  for (const store::LineageEdge& edge : graph.edges) {
    parents[edge.child].insert({edge.parent, edge.relation});
    has_child[edge.parent] = true;
  }
  std::vector<Box> boxes;
  std::map<std::pair<Uuid, std::set<std::pair<std::size_t, Relation>>>, std::size_t> shared;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const store::LineageNode& node = graph.nodes[i];
    box_of[i] = boxes.size();
    if (node.run && node.path && !has_child[i]) {
      const auto [at, is_new] = shared.emplace(std::pair{*node.run, parents[i]}, boxes.size());
      box_of[i] = at->second;
      if (!is_new) {
        boxes[at->second].nodes.push_back(i);
        continue;
      }
    }
    boxes.push_back({{i}});
  }
  return boxes;
}

Layout layout_of(const store::LineageGraph& graph) {
  Layout layout;
  std::vector<std::size_t> box_of(graph.nodes.size());
  layout.boxes = boxes_of(graph, box_of);
  std::set<std::tuple<std::size_t, std::size_t, Relation>> drawn;
  for (const store::LineageEdge& edge : graph.edges) {
    const std::size_t parent = box_of[edge.parent];
    const std::size_t child = box_of[edge.child];
    if (parent != child && drawn.insert({parent, child, edge.relation}).second)
      layout.arrows.push_back({parent, child, edge});
  }
  // Below all parents. Files can claim a cycle: as many rounds as boxes end it.
  bool changed = true;
  for (std::size_t round = 0; changed && round < layout.boxes.size(); ++round) {
    changed = false;
    for (const Arrow& arrow : layout.arrows) {
      Box& child = layout.boxes[arrow.child];
      const std::size_t below = layout.boxes[arrow.parent].layer + 1;
      if (child.layer < below && below < layout.boxes.size()) child.layer = below, changed = true;
    }
  }
  // Layer by layer from above: as far left as there is room, but not left of the first parent.
  std::vector<double> at_least(layout.boxes.size(), 0);
  std::map<std::size_t, double> filled;  // of a layer, up to here
  std::vector<std::size_t> order(layout.boxes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return layout.boxes[i].layer; });
  for (const std::size_t i : order) {
    Box& box = layout.boxes[i];
    for (const Arrow& arrow : layout.arrows) {
      const Box& parent = layout.boxes[arrow.parent];
      if (arrow.child == i && parent.layer < box.layer) {
        at_least[i] = at_least[i] == 0 ? parent.x : std::min(at_least[i], parent.x);
      }
    }
    box.x = std::max(filled[box.layer] + 1, at_least[i]);
    filled[box.layer] = box.x + kBoxWidth + kGapX;
    box.y = static_cast<double>(box.layer) * (kBoxHeight + kGapY) + 1;
    layout.width = std::max(layout.width, box.x + kBoxWidth + 1);
    layout.height = std::max(layout.height, box.y + kBoxHeight + 1);
  }
  return layout;
}

std::string box_svg(const Box& box, const store::LineageGraph& graph,
                    const std::map<Uuid, std::string>& names) {
  const store::LineageNode& node = graph.nodes[box.nodes.front()];
  std::string first = "not found", second = "uuid " + node.uuid.text().substr(0, 8), third;
  if (node.path) {
    const auto name = node.run ? names.find(*node.run) : names.end();
    first = name != names.end() ? name->second
            : node.run          ? "run " + node.run->text().substr(0, 8)
                                : node.path->filename().native();
    std::uint64_t from = node.epoch, to = node.epoch;
    for (const std::size_t i : box.nodes) {
      from = std::min(from, graph.nodes[i].epoch);
      to = std::max(to, graph.nodes[i].epoch);
    }
    second =
        (box.nodes.size() == 1 ? "" : fmt::format("{} saves, ", box.nodes.size())) +
        (from == to ? fmt::format("epoch {}", from) : fmt::format("epochs {} to {}", from, to));
    third = node.type + " " + node.arch;
  }
  std::string out = fmt::format(
      "<g><title>{}</title><rect class=\"box{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" "
      "rx=\"7\"/>",
      html(node.path ? node.path->native() : node.uuid.text()), node.path ? "" : " missing", box.x,
      box.y, kBoxWidth, kBoxHeight);
  double y = box.y + 20;
  for (const std::string* line : {&first, &second, &third}) {
    out += fmt::format("<text x=\"{}\" y=\"{}\"{}>{}</text>", box.x + 10, y,
                       line == &first ? " class=\"name\"" : "", html(*line, 22));
    y += 17;
  }
  return out + "</g>";
}

}  // namespace

std::string lineage_svg(const store::LineageGraph& graph,
                        const std::map<Uuid, std::string>& names) {
  if (graph.nodes.empty()) return {};
  const Layout layout = layout_of(graph);
  const std::size_t shown = std::min(layout.boxes.size(), kMostBoxes);
  std::string out = fmt::format(
      "<svg viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\"><defs><marker "
      "id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" "
      "orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"currentColor\"/></marker></defs>",
      layout.width, layout.height);
  for (const Arrow& arrow : layout.arrows) {
    if (arrow.parent >= shown || arrow.child >= shown) continue;
    const Box& parent = layout.boxes[arrow.parent];
    const Box& child = layout.boxes[arrow.child];
    const double x1 = parent.x + kBoxWidth / 2, y1 = parent.y + kBoxHeight;
    const double x2 = child.x + kBoxWidth / 2, y2 = child.y;
    out += fmt::format(
        "<path class=\"edge\" marker-end=\"url(#tip)\" d=\"M{} {}C{} {} {} {} {} {}\"/><text "
        "x=\"{}\" y=\"{}\">{}</text>",
        x1, y1, x1, y1 + kGapY / 2, x2, y2 - kGapY / 2, x2, y2, (x1 + x2) / 2 + 8,
        (y1 + y2) / 2 + 4, html(to_string(arrow.edge.relation)));
  }
  for (std::size_t i = 0; i < shown; ++i) out += box_svg(layout.boxes[i], graph, names);
  out += "</svg>";
  if (shown < layout.boxes.size()) {
    out += fmt::format("<p class=\"soft\">{} of {} saves are drawn; `ckpt lineage` lists all.</p>",
                       shown, layout.boxes.size());
  }
  return out;
}

}  // namespace reprise::report
