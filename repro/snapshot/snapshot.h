// The working copy of a run in one zip file that is the same whenever the content is the same.
#pragma once

#include "ckpt/base/sha256.h"
#include "repro/fingerprint/code_state.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace reprise::snapshot {

struct Options {
  std::uint64_t budget_bytes = 50'000'000;
  std::uint64_t file_limit_bytes = 5'000'000;
  // Paths to leave out, with '*' and '?'; "data/*" also matches below. Never silent: the
  // fingerprint lists what was left out.
  std::vector<std::string> exclude = {};
  // Paths (same patterns), or PATH:LINE, whose hits of the secret scan are known to be harmless.
  std::vector<std::string> allow = {};
  // Replaces secrets by "[redacted: ...]" in place of refusing.
  bool redact = false;
  unsigned jobs = 0;
};

struct Finding {
  std::string path;
  std::size_t line;
  std::string_view kind;
};

struct Snapshot {
  Digest sha256;     // of the zip file
  std::string tree;  // git tree id of what it holds; equals the working copy's unless something
                     // was left out or redacted, or git's filters change files
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::vector<std::string> excluded;
  std::vector<Finding> redacted;
  std::vector<std::string> links_out;  // links that point out of the tree; kept as links
};

// Writes tracked and untracked-not-ignored files of `code` to `target`, durably. Links are kept and
// never followed; submodules are kept as the name of their commit. Reads every file once, in
// parallel; memory: the content twice, so twice the budget at most.
// Errors: kNo when it would be over budget, naming the largest files; kNo when a file holds what
// looks like a secret, naming file and line; kIo. `target` is only there when it is whole.
Snapshot write(const fingerprint::CodeState& code, const std::filesystem::path& target,
               const Options& options = {});

// The tree id of a snapshot's content, with the checks of restore() but without unpacking.
// Errors: kNotFound; kCorrupt for anything a snapshot must not hold.
std::string read_tree(const std::filesystem::path& zip);

}  // namespace reprise::snapshot
