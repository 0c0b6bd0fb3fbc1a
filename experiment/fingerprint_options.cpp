#include "experiment/fingerprint_options.h"

#include "engine/determinism/determinism.h"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace reprise::experiment {
namespace {

// As the kernel keeps it.
std::vector<std::string> own_command() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> words;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = std::min(all.find('\0', at), all.size());
    words.push_back(all.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

}  // namespace

fingerprint::Options fingerprint_options(const Config& config, c10::Device device, unsigned threads,
                                         const std::filesystem::path& run) {
  fingerprint::Options options;
  options.command = own_command();
  options.configuration = to_json(config);
  options.seeds = {{"seed", config.seed}};
  options.determinism = engine::determinism_state(device);
  options.software = engine::software_state();
  options.software["threads"] = threads;
  options.software["program"] = sha256_file("/proc/self/exe").hex();
  options.code_options.leave_out.push_back(run);
  return options;
}

}  // namespace reprise::experiment
