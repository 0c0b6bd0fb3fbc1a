// What `repro capture` and `repro run` share: options, and the capture itself.
#pragma once

#include "ckpt/base/command_line.h"
#include "ckpt/base/json.h"

#include <filesystem>
#include <string>
#include <vector>

namespace reprise::repro {

struct CaptureOptions {
  std::filesystem::path output;
  std::vector<std::string> data;         // NAME=PATH
  std::vector<std::string> environment;  // more variables
  std::vector<std::string> command;
  bool snapshot = true;
  std::string budget = "50MB";
  std::string file_limit = "5MB";
  std::vector<std::string> exclude;
  std::vector<std::string> allow;
  bool redact = false;
};

void describe_capture(Command& command, CaptureOptions& options);

struct Captured {
  std::string record;  // its id
  Json summary;
};

// Writes fingerprint and snapshot of `options.command` into `options.output`: both, or neither when
// the snapshot is refused.
// Errors: kUsage for a malformed option; those of fingerprint::record and snapshot::write.
Captured capture_into(const CaptureOptions& options, Io& io);

}  // namespace reprise::repro
