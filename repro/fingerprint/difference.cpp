#include "repro/fingerprint/difference.h"

#include "repro/fingerprint/glob.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

namespace reprise::fingerprint {
namespace {

struct Rule {
  std::string_view pattern;  // '*' stands for any run of characters
  int rank;
  Influence influence;
};

using enum Influence;

// The first rule that matches a field counts. The order of ranks is the order of explanations:
// seed, code, data, batch, determinism, libraries, GPU, then the rest.
constexpr std::array kRules = {
    Rule{"seeds.*", 0, kLikely},
    Rule{"configuration.*seed*", 0, kLikely},
    Rule{"code.tree", 1, kLikely},
    Rule{"code.submodules.*.tree", 1, kLikely},
    Rule{"code.submodules.*.commit", 1, kLikely},
    Rule{"code.repository", 1, kPossible},
    Rule{"files.*", 1, kLikely},
    Rule{"software.program", 1, kLikely},
    Rule{"data.*.path", 10, kUnlikely},
    Rule{"data.*", 2, kLikely},
    // where things go and how often something is looked at, not what is computed
    Rule{"configuration.*work?dir", 10, kUnlikely},
    Rule{"configuration.name", 10, kUnlikely},
    Rule{"configuration.data", 10, kUnlikely},  // a path; what it held is data.*
    Rule{"configuration.val?data", 10, kUnlikely},
    Rule{"configuration.*log?every*", 10, kUnlikely},
    Rule{"configuration.*workers", 10, kUnlikely},
    Rule{"configuration.prefetch", 10, kUnlikely},
    Rule{"configuration.search?path", 10, kUnlikely},
    Rule{"configuration.save*", 10, kUnlikely},
    Rule{"configuration.*?save", 10, kUnlikely},
    Rule{"configuration.keep*", 10, kUnlikely},
    Rule{"configuration.val?begin", 10, kUnlikely},
    Rule{"configuration.val?every*", 10, kUnlikely},
    Rule{"configuration.*ledger*", 10, kUnlikely},
    Rule{"configuration.resume?from", 10, kUnlikely},
    Rule{"configuration.allow?config?change", 10, kUnlikely},
    Rule{"configuration.cache", 10, kUnlikely},
    Rule{"configuration.skip?bad", 10, kUnlikely},  // what it left out shows in data.*
    Rule{"configuration.max?hours", 10, kUnlikely},
    Rule{"configuration.batch?size?per?gpu", 10, kUnlikely},  // batch-size follows from it
    Rule{"configuration.major?metric", 10, kUnlikely},
    Rule{"configuration.validate", 10, kUnlikely},
    Rule{"configuration.max?eval?samples", 10, kUnlikely},
    Rule{"configuration.eval?batch?size", 10, kUnlikely},
    Rule{"configuration.activation?checkpointing", 10, kUnlikely},
    Rule{"configuration.max?loss", 10, kUnlikely},
    Rule{"configuration.patience", 10, kUnlikely},
    Rule{"configuration.tolerance", 10, kUnlikely},
    Rule{"configuration.join?timeout", 10, kUnlikely},
    Rule{"configuration.knn*", 10, kUnlikely},
    Rule{"configuration.tensorboard", 10, kUnlikely},
    Rule{"configuration.*batch*", 3, kLikely},
    Rule{"configuration.*shards", 3, kLikely},
    Rule{"configuration.*accumulate*", 3, kLikely},
    Rule{"configuration.*world?size", 3, kLikely},
    Rule{"configuration.*nproc*", 3, kPossible},
    Rule{"job.world_size", 3, kPossible},
    Rule{"determinism.*", 4, kLikely},
    Rule{"configuration.*determinis*", 4, kLikely},
    Rule{"configuration.device", 7, kLikely},
    Rule{"configuration.*", 5, kLikely},
    Rule{"command", 5, kPossible},
    Rule{"software.python.packages.torch*", 6, kLikely},
    Rule{"software.python.packages.numpy", 6, kLikely},
    Rule{"software.python.packages.jax*", 6, kLikely},
    Rule{"software.python.packages.tensorflow*", 6, kLikely},
    Rule{"software.python.packages.nvidia*", 6, kLikely},
    Rule{"software.python.interpreter", 10, kUnlikely},
    Rule{"software.python.environment", 10, kUnlikely},
    Rule{"software.python.*", 6, kPossible},
    Rule{"software.libtorch*", 6, kLikely},
    Rule{"software.cuda*", 6, kLikely},
    Rule{"software.cudnn*", 6, kLikely},
    Rule{"software.nccl*", 6, kLikely},
    Rule{"software.mkl*", 6, kLikely},
    Rule{"software.onednn*", 6, kLikely},
    Rule{"software.*threads*", 8, kPossible},
    Rule{"software.reprise*", 6, kPossible},
    Rule{"software.libc", 9, kPossible},
    Rule{"software.compiler", 9, kPossible},
    Rule{"software.kernel", 10, kUnlikely},
    Rule{"software.os", 10, kUnlikely},
    Rule{"software.hostname", 10, kUnlikely},
    Rule{"software.container*", 10, kUnlikely},
    Rule{"software.*", 9, kPossible},
    Rule{"hardware.gpus.*.name", 7, kLikely},
    Rule{"hardware.gpus.*.compute_capability", 7, kLikely},
    Rule{"hardware.gpus.*.ecc", 7, kPossible},
    Rule{"hardware.gpus.*.uuid", 7, kPossible},
    Rule{"hardware.driver", 7, kPossible},
    Rule{"hardware.cuda_driver", 7, kPossible},
    Rule{"hardware.cpu.model", 7, kPossible},
    Rule{"hardware.cpu.features", 7, kPossible},
    Rule{"environment.CUBLAS_*", 8, kLikely},
    Rule{"environment.NVIDIA_TF32_OVERRIDE", 8, kLikely},
    Rule{"environment.PYTHONHASHSEED", 8, kLikely},
    Rule{"environment.PATH", 10, kUnlikely},
    Rule{"environment.REPRISE_*", 10, kUnlikely},  // of builds and of starting processes
    Rule{"environment.LANG", 10, kUnlikely},
    Rule{"environment.LC_*", 10, kUnlikely},
    Rule{"environment.TZ", 10, kUnlikely},
    Rule{"environment.VIRTUAL_ENV", 10, kUnlikely},
    Rule{"environment.CONDA_*", 10, kUnlikely},
    Rule{"environment.*", 8, kPossible},
    Rule{"*", 11, kUnlikely},
};

const Rule& rule_for(std::string_view field) {
  return *std::find_if(kRules.begin(), kRules.end(),
                       [&](const Rule& rule) { return matches_glob(rule.pattern, field); });
}

using Leaves = std::map<std::string, Json>;

void flatten(const Json& json, const std::string& path, Leaves& leaves) {
  const auto below = [&](const std::string& key) { return path.empty() ? key : path + "." + key; };
  if (json.is_object()) {
    for (const auto& [key, value] : json.items()) flatten(value, below(key), leaves);
  } else if (json.is_array() && !json.empty() && json.front().is_object()) {
    for (std::size_t i = 0; i < json.size(); ++i)
      flatten(json[i], below(std::to_string(i)), leaves);
  } else {
    leaves.emplace(path, json);
  }
}

Leaves leaves_of(const Json& statement) {
  Leaves leaves;
  flatten(fields(statement), "", leaves);
  return leaves;
}

// A command line says less than the configuration that came out of it.
Influence influence_of(const std::string& field, const Rule& rule, const Leaves& leaves) {
  if (field != "command") return rule.influence;
  const auto at = leaves.lower_bound("configuration.");
  const bool configured = at != leaves.end() && at->first.starts_with("configuration.");
  return configured ? kUnlikely : rule.influence;
}

}  // namespace

std::string_view to_string(Influence influence) {
  switch (influence) {
    case kLikely: return "likely";
    case kPossible: return "possible";
    case kUnlikely: return "unlikely";
  }
  return "unknown";
}

Json fields(const Json& statement) {
  const Json& definition = statement.at("predicate").at("buildDefinition");
  const Json& external = definition.at("externalParameters");
  const Json& internal = definition.at("internalParameters");
  Json out = Json::object();
  const auto take = [&](const Json& from, const char* key) {
    const auto at = from.find(key);
    if (at != from.end()) out[key] = *at;
  };
  take(external, "seeds");
  Json code = {{"repository", "none"}};
  Json data = Json::object();
  for (const Json& dependency : definition.at("resolvedDependencies")) {
    const std::string name = dependency.at("name").get<std::string>();
    if (name == "code") {
      code = dependency.at("annotations");
      code["repository"] = "git";
    } else if (name.starts_with("data/")) {
      Json set = dependency.value("annotations", Json::object());
      set["sha256"] = dependency.at("digest").at("sha256");
      data[name.substr(5)] = std::move(set);
    }
  }
  out["code"] = std::move(code);
  take(external, "files");
  out["data"] = std::move(data);
  for (const char* key : {"configuration", "determinism", "command", "environment", "directory"}) {
    take(external, key);
  }
  for (const char* key : {"software", "hardware", "job"}) take(internal, key);
  return out;
}

namespace {

std::vector<Difference> differences_of(const Leaves& a, const Leaves& b) {
  std::vector<Difference> out;
  const auto add = [&](const std::string& field, const Json& in_a, const Json& in_b) {
    const Rule& rule = rule_for(field);
    const Influence influence =
        std::max(influence_of(field, rule, a), influence_of(field, rule, b));
    out.push_back({field, in_a, in_b, influence, rule.rank});
  };
  for (const auto& [field, value] : a) {
    const auto other = b.find(field);
    if (other == b.end()) {
      add(field, value, nullptr);
    } else if (other->second != value) {
      add(field, value, other->second);
    }
  }
  for (const auto& [field, value] : b) {
    if (!a.contains(field)) add(field, nullptr, value);
  }
  std::sort(out.begin(), out.end(), [](const Difference& x, const Difference& y) {
    const bool x_rest = x.influence == kUnlikely;
    const bool y_rest = y.influence == kUnlikely;
    return std::tie(x_rest, x.rank, x.influence, x.field) <
           std::tie(y_rest, y.rank, y.influence, y.field);
  });
  return out;
}

// The leaves as they were for the process of `record`, which holds what differs from the first.
Leaves leaves_at(const Json& statement, std::uint64_t update) {
  Leaves leaves = leaves_of(statement);
  const Json* record = process_of(statement, update);
  if (record == nullptr) return leaves;
  const auto changed = record->find("differs");
  if (changed == record->end() || !changed->is_object()) return leaves;
  for (const auto& [field, value] : changed->items()) {
    if (value.is_null()) {
      leaves.erase(field);
    } else {
      leaves[field] = value;
    }
  }
  return leaves;
}

}  // namespace

std::vector<Difference> differences(const Json& statement_a, const Json& statement_b) {
  return differences_of(leaves_of(statement_a), leaves_of(statement_b));
}

const Json* process_of(const Json& statement, std::uint64_t update) {
  const Json& predicate = statement.at("predicate");
  const auto details = predicate.find("runDetails");
  if (details == predicate.end() || !details->is_object()) return nullptr;
  const auto records = details->find("reprise_records");
  if (records == details->end() || !records->is_array()) return nullptr;
  const Json* found = nullptr;
  for (const Json& record : *records) {
    if (!record.is_object() || record.value("rank", Json(0)) != 0) continue;
    const auto from = record.find("from_update");
    if (from == record.end() || !from->is_number_unsigned()) continue;
    if (from->get<std::uint64_t>() < update) found = &record;
  }
  return found;
}

std::vector<Difference> differences_at(const Json& statement_a, std::uint64_t update_a,
                                       const Json& statement_b, std::uint64_t update_b) {
  return differences_of(leaves_at(statement_a, update_a), leaves_at(statement_b, update_b));
}

Digest digest(const Json& statement) {
  const Leaves leaves = leaves_of(statement);
  Json essence = Json::object();
  for (const auto& [field, value] : leaves) {
    if (influence_of(field, rule_for(field), leaves) != kUnlikely) essence[field] = value;
  }
  return sha256(dump_json(essence));
}

}  // namespace reprise::fingerprint
