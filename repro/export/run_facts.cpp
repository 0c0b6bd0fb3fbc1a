#include "repro/export/run_facts.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"

#include <algorithm>
#include <ctime>

namespace reprise::exporting {

namespace fs = std::filesystem;

std::int64_t milliseconds_of(const std::string& iso_time) {
  std::tm parts{};
  const char* end = strptime(iso_time.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') return 0;
  return static_cast<std::int64_t>(timegm(&parts)) * 1000;
}

std::vector<std::string> describing_files(const fs::path& run) {
  std::vector<std::string> out;
  for (const fs::directory_entry& entry : fs::directory_iterator(run)) {
    const std::string name = entry.path().filename().string();
    const bool known = name.ends_with(".json") || name.ends_with(".toml") ||
                       name.ends_with(".tsv") || name.ends_with(".log") ||
                       name.ends_with(".jsonl") || name.ends_with(".patch") ||
                       name.ends_with(".zip") || name.ends_with(".dsse.json");
    if (known && entry.is_regular_file() && !entry.is_symlink()) out.push_back(name);
  }
  std::ranges::sort(out);
  return out;
}

Json parameters_of(const report::RunRecord& run, const char* key) {
  if (!run.fingerprint.is_object()) return Json::object();
  const Json& external =
      run.fingerprint.at("predicate").at("buildDefinition").at("externalParameters");
  return external.value(key, Json::object());
}

std::string command_of(const report::RunRecord& run) {
  std::string out;
  const Json command = parameters_of(run, "command");
  for (const Json& word : command) {
    if (word.is_string()) out += (out.empty() ? "" : " ") + word.get<std::string>();
  }
  return out;
}

void copy_files(const fs::path& run, const std::vector<std::string>& names, const fs::path& to) {
  make_directories(to);
  for (const std::string& name : names) {
    std::error_code error;
    fs::copy_file(run / name, to / name, error);
    if (error) fail(Code::kIo, "{}: cannot be copied: {}", (run / name).native(), error.message());
  }
}

}  // namespace reprise::exporting
