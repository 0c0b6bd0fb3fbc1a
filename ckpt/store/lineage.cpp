#include "ckpt/store/lineage.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/store/load.h"

#include <map>

namespace reprise::store {

namespace {

struct Found {
  LineageNode node;
  std::vector<Parent> parents;
  bool readable = false;
};

Found read(const CheckpointEntry& entry) {
  Found found;
  try {
    const Checkpoint checkpoint = load(entry.path.native(), {.verify = false});
    found.node = {checkpoint.uuid, entry.path,       std::string(to_string(checkpoint.type)),
                  checkpoint.arch, checkpoint.epoch, checkpoint.run};
    found.parents = checkpoint.parents;
    if (checkpoint.uuid_backbone) {
      const Parent backbone{*checkpoint.uuid_backbone, Relation::kBackbone};
      if (std::ranges::find(found.parents, backbone) == found.parents.end()) {
        found.parents.push_back(backbone);
      }
    }
    found.readable = true;
  } catch (const Error&) {
    // Left out; `ckpt verify` says what is wrong with it.
  }
  return found;
}

std::string dot_escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

LineageGraph lineage(const std::vector<RunDirectory>& runs) {
  LineageGraph graph;
  std::vector<CheckpointEntry> entries;
  for (const RunDirectory& run : runs) {
    try {
      std::vector<CheckpointEntry> of_run = run.list();
      entries.insert(entries.end(), of_run.begin(), of_run.end());
    } catch (const Error& error) {
      graph.unseen.push_back({run.path(), error.what()});
    }
  }
  std::vector<Found> found(entries.size());
  parallel_for(entries.size(), 0, [&](std::size_t i) { found[i] = read(entries[i]); });

  std::map<Uuid, std::size_t> index;
  for (const Found& file : found) {
    // A second file with a UUID is a copy of the first.
    if (file.readable && index.emplace(file.node.uuid, graph.nodes.size()).second) {
      graph.nodes.push_back(file.node);
    }
  }
  for (const Found& file : found) {
    if (!file.readable) continue;
    for (const Parent& parent : file.parents) {
      const auto [at, is_new] = index.emplace(parent.uuid, graph.nodes.size());
      if (is_new) {
        LineageNode missing;
        missing.uuid = parent.uuid;
        graph.nodes.push_back(std::move(missing));
      }
      const LineageEdge edge{index.at(file.node.uuid), at->second, parent.relation};
      if (std::ranges::find(graph.edges, edge) == graph.edges.end()) graph.edges.push_back(edge);
    }
  }
  return graph;
}

LineageGraph connected(const LineageGraph& graph, const Uuid& uuid) {
  std::vector<char> reached(graph.nodes.size(), 0);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) reached[i] = graph.nodes[i].uuid == uuid;
  for (bool grows = true; grows;) {
    grows = false;
    for (const LineageEdge& edge : graph.edges) {
      if (reached[edge.child] != reached[edge.parent]) {
        reached[edge.child] = reached[edge.parent] = 1;
        grows = true;
      }
    }
  }
  LineageGraph part;
  std::vector<std::size_t> moved(graph.nodes.size(), 0);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!reached[i]) continue;
    moved[i] = part.nodes.size();
    part.nodes.push_back(graph.nodes[i]);
  }
  for (const LineageEdge& edge : graph.edges) {
    if (reached[edge.child])
      part.edges.push_back({moved[edge.child], moved[edge.parent], edge.relation});
  }
  return part;
}

std::string LineageGraph::to_dot() const {
  std::string dot =
      "digraph lineage {\n  rankdir=BT;\n  node [shape=box, fontname=\"monospace\"];\n";
  for (const LineageNode& node : nodes) {
    const std::string id = node.uuid.text();
    if (node.path) {
      dot += fmt::format("  \"{}\" [label=\"{} {} ep{}\\n{}\"];\n", id, dot_escaped(node.type),
                         dot_escaped(node.arch), node.epoch, dot_escaped(node.path->native()));
    } else {
      dot += fmt::format("  \"{}\" [label=\"missing\\n{}\", style=dashed];\n", id, id);
    }
  }
  for (const LineageEdge& edge : edges) {
    dot += fmt::format("  \"{}\" -> \"{}\" [label=\"{}\"];\n", nodes[edge.child].uuid.text(),
                       nodes[edge.parent].uuid.text(), to_string(edge.relation));
  }
  return dot + "}\n";
}

Json LineageGraph::to_json() const {
  Json list = Json::array();
  for (const LineageNode& node : nodes) {
    list.push_back({{"uuid", node.uuid.text()},
                    {"path", node.path ? Json(node.path->native()) : Json(nullptr)},
                    {"type", node.path ? Json(node.type) : Json(nullptr)},
                    {"arch", node.path ? Json(node.arch) : Json(nullptr)},
                    {"epoch", node.path ? Json(node.epoch) : Json(nullptr)},
                    {"run", node.run ? Json(node.run->text()) : Json(nullptr)},
                    {"missing", !node.path}});
  }
  Json links = Json::array();
  for (const LineageEdge& edge : edges) {
    links.push_back({{"child", nodes[edge.child].uuid.text()},
                     {"parent", nodes[edge.parent].uuid.text()},
                     {"relation", to_string(edge.relation)}});
  }
  return {{"nodes", std::move(list)}, {"edges", std::move(links)}};
}

}  // namespace reprise::store
