#include "ckpt/store/lineage.h"
#include "ckpt/base/error.h"
#include "ckpt/cli/commands.h"
#include "ckpt/store/load.h"
#include "ckpt/store/references_to.h"

#include <memory>
#include <set>

namespace reprise::cli {
namespace {

struct LineageOptions {
  std::string start;
  bool dot = false;
};

using store::LineageEdge;
using store::LineageGraph;

// Prints a node and, indented below it, what it came from.
class TreePrinter {
 public:
  TreePrinter(Io& io, const LineageGraph& graph) : io_(io), graph_(graph) {}

  void print(std::size_t node, const std::string& indent, std::string_view relation) {
    const store::LineageNode& n = graph_.nodes[node];
    const std::string what = n.path
                                 ? fmt::format("{} {} ep{}  {}", n.type,
                                               n.arch.empty() ? "unknown" : printable(n.arch, 40),
                                               n.epoch, printable(n.path->native(), 4096))
                                 : io_.red("missing");
    io_.print("{}{}{}  {}\n", indent, relation.empty() ? "" : fmt::format("{} ", relation),
              n.uuid.text().substr(0, 8), what);
    if (!seen_.insert(node).second) return;  // its parents were printed where it came first
    for (const LineageEdge& edge : graph_.edges) {
      if (edge.child == node) print(edge.parent, indent + "  ", to_string(edge.relation));
    }
  }

 private:
  Io& io_;
  const LineageGraph& graph_;
  std::set<std::size_t> seen_;
};

void print_text(Io& io, const LineageGraph& graph, const std::optional<Uuid>& start) {
  TreePrinter printer(io, graph);
  std::vector<char> has_child(graph.nodes.size(), 0);
  for (const LineageEdge& edge : graph.edges) has_child[edge.parent] = 1;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const bool root = start ? graph.nodes[i].uuid == *start : has_child[i] == 0;
    if (root) printer.print(i, "", "");
  }
}

int run(const LineageOptions& options, Io& io) {
  std::error_code failure;
  std::optional<Uuid> start;
  std::filesystem::path folder = options.start;
  if (!std::filesystem::is_directory(folder, failure)) {
    const store::LoadedCheckpoint loaded = store::open_checkpoint(options.start, {.verify = false});
    start = loaded.checkpoint.uuid;
    folder = std::filesystem::absolute(loaded.path).parent_path();
    if (folder.filename() == "checkpoints") folder = folder.parent_path();
  }
  const store::RunDirectory own = store::RunDirectory::open(folder);
  const LineageGraph all = store::lineage(store::neighbours(own));
  for (const store::Unseen& unseen : all.unseen) {
    io.warn("{} is left out: {}", printable(unseen.folder.native(), 4096), unseen.why);
  }
  LineageGraph shown;
  if (start) {
    shown = store::connected(all, *start);
  } else {
    // The run's own saves, and all that they are connected to.
    std::set<Uuid> added;
    for (const store::CheckpointEntry& entry : own.list()) {
      if (added.contains(entry.uuid)) continue;
      const LineageGraph part = store::connected(all, entry.uuid);
      const std::size_t offset = shown.nodes.size();
      for (const auto& node : part.nodes) {
        added.insert(node.uuid);
        shown.nodes.push_back(node);
      }
      for (const LineageEdge& edge : part.edges) {
        shown.edges.push_back({edge.child + offset, edge.parent + offset, edge.relation});
      }
    }
  }
  if (shown.nodes.empty()) {
    io.say("{}: there is no checkpoint that can be read; `ckpt runs` and `ckpt verify` say more",
           printable(own.path().native(), 4096));
  }
  if (options.dot) {
    io.write(shown.to_dot());
  } else if (io.json) {
    io.print_json(shown.to_json());
  } else {
    print_text(io, shown, start);
  }
  return 0;
}

}  // namespace

void add_lineage(CommandLine& app) {
  auto options = std::make_shared<LineageOptions>();
  Command& command = app.command("lineage", "Where a checkpoint came from");
  command.about(
      "Prints each save and, below it, what it was resumed, loaded, distilled or migrated from, "
      "over "
      "the runs beside this one. UUIDs that no file has are marked as missing.");
  command.positional("RUN_OR_CKPT", options->start, "a run directory, a file, or a reference");
  command.flag("--dot", options->dot, "print the whole graph for Graphviz");
  command.example("ckpt lineage runs/road/20261121-100000 --dot | dot -Tsvg -o lineage.svg",
                  "draws the graph");
  command.exit_code(15, "mismatch: the folder is no run");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::cli
