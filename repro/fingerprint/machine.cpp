#include "repro/fingerprint/machine.h"

#include "ckpt/base/parallel.h"
#include "ckpt/base/sha256.h"

#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

namespace reprise::fingerprint {
namespace {

namespace fs = std::filesystem;

// The first 64 KiB of a file of /proc or /sys, without trailing newlines; empty when there is none.
std::string read_some(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(64u << 10, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

std::vector<fs::path> entries_of(const fs::path& directory) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    out.push_back(it->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

// The value of "key   : value" in text made of such lines.
std::optional<std::string> field(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t colon = line.find(':');
    if (colon == line.npos || !line.starts_with(key)) continue;
    if (line.substr(key.size(), colon - key.size()).find_first_not_of(" \t") != line.npos) continue;
    const std::size_t value = line.find_first_not_of(" \t", colon + 1);
    return std::string(value == line.npos ? "" : line.substr(value));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

// "MemTotal:  24589 kB" in bytes.
std::optional<std::uint64_t> kilobytes(std::string_view text, std::string_view key) {
  const auto value = field(text, key);
  const auto kib = value ? number(*value) : std::nullopt;
  return kib ? std::optional(*kib * 1024) : std::nullopt;
}

Json describe_cpu() {
  Json cpu = Json::object();
  const std::string info = read_some("/proc/cpuinfo");  // of the first processors; they are alike
  for (const auto& [key, name] :
       {std::pair{"model", "model name"}, std::pair{"vendor", "vendor_id"},
        std::pair{"microcode", "microcode"}}) {
    if (const auto value = field(info, name)) cpu[key] = *value;
  }
  if (const auto flags = field(info, "flags")) {
    std::istringstream words(*flags);
    std::set<std::string> features;
    for (std::string word; words >> word;) features.insert(word);
    // Libraries choose their kernels by these; the rest goes into the digest.
    Json chosen = Json::array();
    for (const char* name :
         {"sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni",
          "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8", "sha_ni"}) {
      if (features.contains(name)) chosen.push_back(name);
    }
    cpu["features"] = chosen;
    cpu["features_sha256"] = sha256(fmt::format("{}", fmt::join(features, " "))).hex();
  }
  cpu["logical"] = sysconf(_SC_NPROCESSORS_CONF);
  cpu["usable"] = available_cores();
  std::set<std::string> cores;
  for (const fs::path& path : entries_of("/sys/devices/system/cpu")) {
    const std::string name = path.filename().native();
    if (!name.starts_with("cpu") || !number(std::string_view(name).substr(3))) continue;
    const std::string core = read_some(path / "topology/core_id");
    if (!core.empty()) cores.insert(read_some(path / "topology/physical_package_id") + ":" + core);
  }
  if (!cores.empty()) cpu["physical"] = cores.size();
  const std::string governor = read_some("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  if (!governor.empty()) cpu["governor"] = governor;
  return cpu;
}

Json describe_numa() {
  Json nodes = Json::array();
  for (const fs::path& path : entries_of("/sys/devices/system/node")) {
    const std::string name = path.filename().native();
    if (!name.starts_with("node") || !number(std::string_view(name).substr(4))) continue;
    Json node = {{"node", name.substr(4)}, {"cpus", read_some(path / "cpulist")}};
    // Lines here begin with "Node 0 ", so the key stands in the middle.
    const std::string memory = read_some(path / "meminfo");
    const std::size_t at = memory.find("MemTotal:");
    if (at != memory.npos) {
      if (const auto bytes = kilobytes(std::string_view(memory).substr(at), "MemTotal")) {
        node["memory_bytes"] = *bytes;
      }
    }
    nodes.push_back(std::move(node));
  }
  return nodes;
}

// Interfaces that are up, without addresses, which say who and not what.
Json describe_network() {
  Json out = Json::array();
  for (const fs::path& path : entries_of("/sys/class/net")) {
    const std::string name = path.filename().native();
    if (name == "lo" || read_some(path / "operstate") == "down") continue;
    Json interface = {{"name", name}};
    if (const auto mtu = number(read_some(path / "mtu"))) interface["mtu"] = *mtu;
    if (const auto speed = number(read_some(path / "speed"))) interface["speed_mbit"] = *speed;
    std::error_code error;
    const fs::path driver = fs::read_symlink(path / "device/driver", error);
    if (!error) interface["driver"] = driver.filename().native();
    out.push_back(std::move(interface));
  }
  for (const fs::path& path : entries_of("/sys/class/infiniband")) {
    out.push_back({{"name", path.filename().native()},
                   {"kind", "infiniband"},
                   {"rate", read_some(path / "ports/1/rate")}});
  }
  return out;
}

// What runs around this process, as far as it can be told from inside.
Json describe_container() {
  Json out = Json::object();
  std::error_code error;
  if (fs::exists("/.dockerenv", error)) out["kind"] = "docker";
  if (fs::exists("/run/.containerenv", error)) out["kind"] = "podman";
  if (std::getenv("KUBERNETES_SERVICE_HOST") != nullptr) out["kind"] = "kubernetes";
  if (const char* image = std::getenv("SINGULARITY_CONTAINER")) {
    out["kind"] = "apptainer";
    out["image"] = image;
  }
  // A container's id is 64 hexadecimal digits in its cgroup's path, or in where its files come
  // from.
  for (const char* file : {"/proc/self/cgroup", "/proc/self/mountinfo"}) {
    const std::string text = read_some(file);
    std::size_t run = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
      const bool hex = i < text.size() &&
                       std::string_view("0123456789abcdef").find(text[i]) != std::string_view::npos;
      run = hex ? run + 1 : 0;
      if (run == 64 &&
          (i + 1 == text.size() || !std::isxdigit(static_cast<unsigned char>(text[i + 1])))) {
        const std::string_view before = std::string_view(text).substr(0, i - 63);
        const std::size_t line = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
        const std::string_view context = before.substr(line);
        // Overlay layers have digests, too; a container's id follows one of these words.
        if (context.find("containers/") == context.npos && context.find("docker") == context.npos &&
            context.find("kubepods") == context.npos && context.find("libpod") == context.npos) {
          continue;
        }
        out["id"] = text.substr(i - 63, 64);
        return out;
      }
    }
  }
  return out;
}

std::string os_name() {
  std::istringstream lines(read_some("/etc/os-release"));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("PRETTY_NAME=")) continue;
    std::string value = line.substr(12);
    std::erase(value, '"');
    return value;
  }
  return "unknown";
}

}  // namespace

Json describe_hardware() {
  Json out = {{"cpu", describe_cpu()}};
  Json numa = describe_numa();
  if (!numa.empty()) out["numa"] = std::move(numa);
  if (const auto bytes = kilobytes(read_some("/proc/meminfo"), "MemTotal")) {
    out["memory_bytes"] = *bytes;
  }
  out["network"] = describe_network();
  return out;
}

Json describe_system() {
  Json out = {{"os", os_name()}};
  if (utsname name{}; uname(&name) == 0) {
    out["kernel"] = fmt::format("{} {} {}", name.sysname, name.release, name.machine);
    out["hostname"] = name.nodename;
  }
  out["libc"] = fmt::format("glibc {}", gnu_get_libc_version());
  Json container = describe_container();
  if (!container.empty()) out["container"] = std::move(container);
  return out;
}

}  // namespace reprise::fingerprint
