// The graph of saves: which state came from which, over run directories.
#pragma once

#include "ckpt/base/json.h"
#include "ckpt/state/checkpoint.h"
#include "ckpt/store/references_to.h"
#include "ckpt/store/run_directory.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace reprise::store {

struct LineageNode {
  Uuid uuid;
  std::optional<std::filesystem::path> path;  // nothing: no file with this UUID was found
  std::string type;
  std::string arch;
  std::uint64_t epoch = 0;
  std::optional<Uuid> run;
};

struct LineageEdge {
  std::size_t child = 0;  // indices into nodes
  std::size_t parent = 0;
  Relation relation = Relation::kLoaded;
  bool operator==(const LineageEdge&) const = default;
};

// Nodes in order of discovery: files first, by run and age, then missing ones.
// Saves of one run that share their parents are each a node.
struct LineageGraph {
  std::vector<LineageNode> nodes;
  std::vector<LineageEdge> edges;
  std::vector<Unseen> unseen;  // runs that could not be listed; not in what connected() gives

  // Graphviz; missing files are dashed.
  std::string to_dot() const;
  // {"nodes": [{uuid, path, type, arch, epoch, run, missing}], "edges": [{child, parent,
  // relation}]}
  Json to_json() const;
};

// Everything in `runs`, and what it refers to. Opens each checkpoint's metadata;
// files that cannot be read are left out, and folders are in `unseen`.
LineageGraph lineage(const std::vector<RunDirectory>& runs);

// The part of `graph` that `uuid` is connected to, up and down.
LineageGraph connected(const LineageGraph& graph, const Uuid& uuid);

}  // namespace reprise::store
