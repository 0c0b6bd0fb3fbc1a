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
};

void describe_capture(Command& command, CaptureOptions& options);

struct Captured {
  std::string record;  // its id
  Json summary;
};

// Writes the fingerprint of `options.command` into `options.output`.
// Errors: kUsage for a malformed option; those of the rooms it uses.
Captured capture_into(const CaptureOptions& options, Io& io);

}  // namespace reprise::repro
