// Runs a Python script with the real PyTorch and opens the file it saved.
#pragma once

#include "ckpt/container/open.h"
#include "ckpt/state/state_dict.h"
#include "ckpt/state/value.h"

#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace reprise::engine {

// A folder of one test, removed with it.
class PeerFolder {
 public:
  PeerFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "reprise-peer-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~PeerFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  PeerFolder(const PeerFolder&) = delete;
  PeerFolder& operator=(const PeerFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

  // `script` below tests/engine; it gets `arguments` and then the folder.
  void run(const std::string& script, const std::string& arguments) const {
    const std::string command = std::string(REPRISE_PYTHON) + " " + REPRISE_SOURCE_DIR +
                                "/tests/engine/" + script + " " + arguments + " " + path_.string();
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
  }
  Document open(const std::string& name) const { return container::open(path_ / name); }

 private:
  std::filesystem::path path_;
};

inline StateDict tensors_in(const Value& dict) {
  StateDict state;
  for (const DictEntry& entry : dict.as_dict().entries) {
    state.append(std::string(entry.key.as_string()), entry.value.as_tensor().tensor);
  }
  return state;
}

}  // namespace reprise::engine
