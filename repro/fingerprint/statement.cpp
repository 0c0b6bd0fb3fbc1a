#include "repro/fingerprint/statement.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "repro/fingerprint/fingerprint.h"

#include <algorithm>

namespace reprise::fingerprint {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kFileLimit = 64u << 20;

// What this suite relies on and a statement lacks; empty: nothing.
std::string invalid(const Json& statement) {
  const auto is_object = [](const Json& from, const char* key) {
    const auto at = from.find(key);
    return at != from.end() && at->is_object();
  };
  const auto is_array = [](const Json& from, const char* key) {
    const auto at = from.find(key);
    return at != from.end() && at->is_array();
  };
  const auto has_digest = [](const Json& part) {
    const auto at = part.find("digest");
    return at != part.end() && at->is_object() &&
           std::ranges::all_of(*at, [](const Json& value) { return value.is_string(); });
  };
  if (!is_object(statement, "predicate")) return "no predicate";
  const Json& predicate = statement["predicate"];
  if (!is_object(predicate, "buildDefinition")) return "no predicate.buildDefinition";
  if (!is_object(predicate, "runDetails")) return "no predicate.runDetails";
  const Json& definition = predicate["buildDefinition"];
  for (const char* key : {"externalParameters", "internalParameters"}) {
    if (!is_object(definition, key)) return fmt::format("no buildDefinition.{}", key);
  }
  if (!is_array(definition, "resolvedDependencies")) return "no resolvedDependencies";
  for (const Json& dependency : definition["resolvedDependencies"]) {
    if (!dependency.is_object() || !dependency.contains("name") ||
        !dependency["name"].is_string()) {
      return "a dependency without a name";
    }
    const std::string name = dependency["name"].get<std::string>();
    if (!has_digest(dependency)) return "dependency " + printable(name) + " has no digest";
    if (name == "code" && !is_object(dependency, "annotations")) return "code has no annotations";
    if (name.starts_with("data/") &&
        (!dependency["digest"].contains("sha256") ||
         (dependency.contains("annotations") && !is_object(dependency, "annotations")))) {
      return "data set " + printable(name) + " has no SHA-256";
    }
  }
  const Json& details = predicate["runDetails"];
  if (details.contains("metadata") && !is_object(details, "metadata"))
    return "no runDetails.metadata";
  if (!is_array(details, "byproducts")) return "no runDetails.byproducts";
  for (const Json& byproduct : details["byproducts"]) {
    if (!byproduct.is_object() || !byproduct.contains("name") || !byproduct["name"].is_string() ||
        !has_digest(byproduct)) {
      return "a by-product without name or digest";
    }
  }
  if (!is_array(details, "reprise_records")) return "no runDetails.reprise_records";
  for (const Json& record : details["reprise_records"]) {
    if (!record.is_object() || !record.contains("id")) return "a record without an id";
  }
  return {};
}

}  // namespace

Json load(const fs::path& place) {
  const bool directory = fs::is_directory(place);
  const fs::path path = directory ? place / kFileName : place;
  if (!fs::exists(path)) {
    fail(Code::kNotFound, "{}: {}", printable(path.native()),
         directory ? "there is none; train, repro capture and repro run write one"
                   : "no such run directory or fingerprint");
  }
  const std::string text = read_text(path, kFileLimit);
  Json statement;
  try {
    statement = parse_json(text);
  } catch (const Error& error) {
    throw error.at(path.native());
  }
  const auto text_of = [](const Json& json, const char* key) {
    const auto at = json.is_object() ? json.find(key) : json.end();
    return json.is_object() && at != json.end() && at->is_string() ? at->get<std::string>()
                                                                   : std::string();
  };
  const std::string type = text_of(statement, "_type");
  const std::string predicate_type = text_of(statement, "predicateType");
  if (type.empty() || predicate_type.empty()) {
    fail(Code::kCorrupt, "{}: no in-toto statement: _type or predicateType is missing",
         path.native());
  }
  if (type != kStatementType || predicate_type != kPredicateType) {
    fail(Code::kUnsupported, "{}: a {} with a {}; this version reads {} with {}", path.native(),
         printable(type), printable(predicate_type), kStatementType, kPredicateType);
  }
  const std::string problem = invalid(statement);
  if (!problem.empty()) fail(Code::kCorrupt, "{}: {}", path.native(), problem);
  const std::string build_type = text_of(statement["predicate"]["buildDefinition"], "buildType");
  if (build_type != fmt::format("{}{}", kBuildTypePrefix, kVersion)) {
    const bool newer = build_type.starts_with(kBuildTypePrefix);
    fail(newer ? Code::kUnsupported : Code::kCorrupt,
         "{}: its build type is '{}', this version of reprise reads '{}{}'{}", path.native(),
         printable(build_type), kBuildTypePrefix, kVersion,
         newer ? "; a newer version wrote it: update reprise" : "");
  }
  return statement;
}

}  // namespace reprise::fingerprint
