#include "repro/fingerprint/fingerprint.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/uuid.h"
#include "ckpt/base/version.h"
#include "repro/fingerprint/difference.h"
#include "repro/fingerprint/environment.h"
#include "repro/fingerprint/gpu.h"
#include "repro/fingerprint/machine.h"
#include "repro/fingerprint/python.h"
#include "repro/fingerprint/secret_scan.h"
#include "repro/fingerprint/statement.h"

#include <fcntl.h>
#include <link.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <set>

namespace reprise::fingerprint {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kArgumentFileLimit = 16u << 20;
constexpr std::size_t kListLimit = 1000;  // omissions and notes; the rest is counted

std::string timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

// Redacts every string below `json`, with the key it stands under as its name.
void redact_all(Json& json, std::string_view name) {
  if (json.is_string()) {
    json = redact_value(name, json.get_ref<const std::string&>());
  } else if (json.is_object()) {
    for (auto& [key, value] : json.items()) redact_all(value, key);
  } else if (json.is_array()) {
    for (Json& value : json) redact_all(value, name);
  }
}

// A name that somebody chose (a path, a branch): fit to print, and without what looks like a
// secret.
std::string name_of(std::string_view text) { return printable(redact(text), 4096); }

// "--api-key VALUE" is an assignment over two arguments, "--api-key=VALUE" over one.
Json redacted_command(const std::vector<std::string>& command) {
  Json out = Json::array();
  for (std::size_t i = 0; i < command.size(); ++i) {
    const bool named = i > 0 && command[i - 1].starts_with("-") && !command[i].starts_with("-") &&
                       command[i - 1].find('=') == std::string::npos;
    out.push_back(named ? redact_value(command[i - 1], command[i]) : redact(command[i]));
  }
  return out;
}

// Scripts and configuration files on the command line, by content: they need not be in the
// repository that the run starts in.
Json argument_files(const std::vector<std::string>& command, const fs::path& directory) {
  Json out = Json::object();
  for (const std::string& argument : command) {
    const fs::path path = directory / argument;
    std::error_code error;
    if (argument.empty() || argument.size() > 4096 || !fs::is_regular_file(path, error) || error ||
        fs::file_size(path, error) > kArgumentFileLimit || error) {
      continue;
    }
    out[name_of(argument)] = sha256_file(path).hex();
  }
  return out;
}

// File names, with versions, of the shared libraries loaded into this process.
Json loaded_libraries() {
  std::set<std::string> names;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* found) {
        std::error_code error;
        const fs::path path =
            fs::canonical(info->dlpi_name == nullptr ? "" : info->dlpi_name, error);
        if (!error) static_cast<std::set<std::string>*>(found)->insert(path.filename().native());
        return 0;
      },
      &names);
  return names;
}

Json omissions(const std::vector<Omission>& list) {
  Json out = Json::array();
  for (std::size_t i = 0; i < std::min(list.size(), kListLimit); ++i) {
    out.push_back({{"path", name_of(list[i].path)}, {"reason", printable(list[i].reason)}});
  }
  if (list.size() > kListLimit) {
    out.push_back(
        {{"path", "..."}, {"reason", fmt::format("and {} more", list.size() - kListLimit)}});
  }
  return out;
}

Json code_dependency(const CodeState& code) {
  Json digest = Json::object();
  if (!code.commit.empty()) digest["gitCommit"] = code.commit;
  if (!code.tree.empty()) digest["gitTree"] = code.tree;
  Json submodules = Json::object();
  for (const Submodule& submodule : code.submodules) {
    submodules[name_of(submodule.path)] = {{"url", name_of(submodule.url)},
                                           {"recorded", submodule.recorded},
                                           {"commit", submodule.commit},
                                           {"dirty", submodule.dirty},
                                           {"tree", submodule.tree}};
  }
  Json annotations = {{"root", name_of(code.root.native())},
                      {"commit", code.commit},
                      {"branch", name_of(code.branch)},
                      {"remote", name_of(code.remote)},
                      {"dirty", code.dirty},
                      {"tree", code.tree},
                      {"bare", code.bare},
                      {"worktree", code.worktree},
                      {"owned_by_another", code.owned_by_another},
                      {"files", code.entries.size()},
                      {"submodules", std::move(submodules)}};
  if (!code.omitted.empty()) annotations["left_out_of_patch"] = omissions(code.omitted);
  if (!code.notes.empty()) annotations["notes"] = omissions(code.notes);
  const std::string place =
      code.remote.empty() ? "file://" + name_of(code.root.native()) : name_of(code.remote);
  return {{"name", "code"},
          {"uri", "git+" + place},
          {"digest", std::move(digest)},
          {"annotations", std::move(annotations)}};
}

// Holds the lock on a run directory, which all writers of its fingerprint take.
class RunLock {
 public:
  explicit RunLock(const fs::path& run)
      : descriptor_(::open(run.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (descriptor_ < 0) fail_errno(errno, run.native());
    while (flock(descriptor_, LOCK_EX) != 0) {
      if (errno != EINTR) {
        const int error = errno;
        ::close(descriptor_);
        fail_errno(error, run.native());
      }
    }
  }
  ~RunLock() { ::close(descriptor_); }
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int descriptor_;
};

void save(const fs::path& run, Json& statement) {
  // The subject stands for the run: what a signature over this statement speaks about.
  Json subject = Json::array();
  subject.push_back({{"name", "fingerprint"}, {"digest", {{"sha256", digest(statement).hex()}}}});
  for (const Json& byproduct : statement["predicate"]["runDetails"]["byproducts"]) {
    subject.push_back({{"name", byproduct.at("name")}, {"digest", byproduct.at("digest")}});
  }
  statement["subject"] = std::move(subject);
  write_text(run / kFileName, dump_json(statement, 2) + "\n");
}

void add(Json& list, const Byproduct& byproduct) {
  Json entry = {{"name", byproduct.name}, {"digest", {{"sha256", byproduct.digest.hex()}}}};
  if (!byproduct.annotations.empty()) entry["annotations"] = byproduct.annotations;
  for (Json& old : list) {
    if (old.value("name", "") == byproduct.name) {
      old = std::move(entry);
      return;
    }
  }
  list.push_back(std::move(entry));
}

// Leaves of `fields` that differ from the first process of the run.
Json changes(const Json& first, const Json& now) {
  Json out = Json::object();
  for (const Difference& difference : differences(first, now)) out[difference.field] = difference.b;
  return out;
}

void erase_code(Json& changed) {
  std::vector<std::string> fields;
  for (const auto& [field, value] : changed.items()) {
    if (field.starts_with("code.")) fields.push_back(field);
  }
  for (const std::string& field : fields) changed.erase(field);
}

}  // namespace

Fingerprint capture(const Options& options) {
  const fs::path directory = options.directory.empty() ? fs::current_path() : options.directory;
  Fingerprint out;
  Json dependencies = Json::array();
  if (options.code) {
    out.code = read_code_state(directory, options.code_options);
    if (out.code) dependencies.push_back(code_dependency(*out.code));
  }
  for (const DataDigest& data : options.data) {
    dependencies.push_back(
        {{"name", "data/" + name_of(data.name)},
         {"uri", "file://" + name_of(data.path)},
         {"digest", {{"sha256", data.digest.hex()}}},
         {"annotations",
          {{"path", name_of(data.path)}, {"files", data.files}, {"bytes", data.bytes}}}});
  }

  Json external = {{"command", redacted_command(options.command)},
                   {"directory", name_of(directory.native())},
                   {"files", argument_files(options.command, directory)}};
  for (const auto& [key, value] :
       {std::pair{"configuration", &options.configuration}, std::pair{"seeds", &options.seeds},
        std::pair{"determinism", &options.determinism}}) {
    external[key] = *value;
    redact_all(external[key], key);
  }
  external["environment"] = describe_environment(options.environment);

  Json hardware = describe_hardware();
  hardware.update(describe_gpus());
  Json software = describe_system();
  software["reprise"] = version();
  software["compiler"] = fmt::format("{} {}",
#ifdef __clang__
                                     "clang", __clang_version__
#else
                                     "gcc", __VERSION__
#endif
  );
  software["hdf5"] = REPRISE_HDF5_VERSION;
  software["libraries"] = loaded_libraries();
  if (options.python) {
    Json python = describe_python(options.command);
    if (!python.empty()) software["python"] = std::move(python);
  }
  Json more = options.software;
  redact_all(more, "software");
  software.update(more);

  out.statement = {
      {"_type", kStatementType},
      {"subject", Json::array()},
      {"predicateType", kPredicateType},
      {"predicate",
       {{"buildDefinition",
         {{"buildType", fmt::format("{}{}", kBuildTypePrefix, kVersion)},
          {"externalParameters", std::move(external)},
          {"internalParameters",
           {{"hardware", std::move(hardware)},
            {"software", std::move(software)},
            {"job", describe_job()}}},
          {"resolvedDependencies", std::move(dependencies)}}},
        {"runDetails",
         {{"builder", {{"id", "urn:reprise:repro"}, {"version", {{"reprise", version()}}}}},
          {"metadata", {{"invocationId", Uuid::random().text()}, {"startedOn", timestamp()}}},
          {"byproducts", Json::array()},
          {"reprise_records", Json::array()}}}}}};
  return out;
}

std::string record(const fs::path& run, const Fingerprint& fingerprint, const Record& record) {
  make_directories(run);
  const RunLock lock(run);
  const std::string id = Uuid::random().text();
  Json entry = {{"id", id},
                {"kind", record.kind},
                {"rank", record.rank},
                {"world_size", record.world_size},
                {"pid", getpid()},
                {"started", timestamp()}};
  const Json& software = fingerprint.statement.at("predicate")
                             .at("buildDefinition")
                             .at("internalParameters")
                             .at("software");
  if (software.contains("hostname")) entry["host"] = software["hostname"];
  Json details = record.details;
  redact_all(details, "details");
  entry.update(details);

  Json statement;
  if (fs::exists(run / kFileName)) {
    statement = load(run);
    entry["differs"] = changes(statement, fingerprint.statement);
    // A further rank may not have looked at the code.
    if (record.kind == "process" && !fingerprint.code) erase_code(entry["differs"]);
  } else {
    statement = fingerprint.statement;
    if (fingerprint.code && !fingerprint.code->patch.empty()) {
      write_text(run / kPatchName, fingerprint.code->patch);
      add(statement["predicate"]["runDetails"]["byproducts"],
          {kPatchName, sha256(fingerprint.code->patch)});
    }
  }
  Json& run_details = statement["predicate"]["runDetails"];
  run_details["reprise_records"].push_back(std::move(entry));
  for (const Byproduct& byproduct : record.byproducts) {
    add(run_details["byproducts"], byproduct);
  }
  save(run, statement);
  return id;
}

void finish(const fs::path& run, const std::string& id, int exit_code, double duration_s) {
  const RunLock lock(run);
  Json statement = load(run);
  Json& details = statement["predicate"]["runDetails"];
  for (Json& entry : details["reprise_records"]) {
    if (entry["id"] != id) continue;
    entry["finished"] = timestamp();
    entry["exit_code"] = exit_code;
    entry["duration_s"] = duration_s;
    details["metadata"]["finishedOn"] = entry["finished"];
  }
  save(run, statement);
}

void add_byproduct(const fs::path& run, const std::string& name, const Digest& file_digest,
                   const Json& annotations) {
  const RunLock lock(run);
  Json statement = load(run);
  add(statement["predicate"]["runDetails"]["byproducts"], {name, file_digest, annotations});
  save(run, statement);
}

std::optional<std::string> name_for_snapshot(const fs::path& run, const std::string& tree) {
  std::size_t count = 0;
  if (fs::exists(run / kFileName)) {
    const Json statement = load(run);
    for (const Json& byproduct : statement["predicate"]["runDetails"]["byproducts"]) {
      const auto annotations = byproduct.find("annotations");
      if (annotations == byproduct.end() || !annotations->contains("tree")) continue;
      if ((*annotations)["tree"] == tree) return std::nullopt;
      ++count;
    }
  }
  return count == 0 ? kSnapshotName : fmt::format("snapshot-{}.zip", count + 1);
}

}  // namespace reprise::fingerprint
