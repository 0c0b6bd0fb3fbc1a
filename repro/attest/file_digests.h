// Every file below a directory, by digest: what a signature over the directory speaks about.
#pragma once

#include "ckpt/base/sha256.h"

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace reprise::attest {

enum class Links : std::uint8_t {
  kRefuse,
  kSkip,    // left out: what they point to is signed where it lies; see links_out()
  kFollow,  // to files only
};

// Path relative to `directory` -> SHA-256. Leaves out `ignored` (relative paths, with everything
// below them). Reads every byte, on `jobs` threads.
// Errors: kNotFound, kIo; kUnsupported for a name that is not UTF-8, which JSON cannot carry, and
// for a link under Links::kRefuse.
std::map<std::string, Digest> digest_files(const std::filesystem::path& directory,
                                           std::span<const std::string> ignored, Links links,
                                           unsigned jobs = 0, bool progress = false);

// Symbolic links below `directory` that lead out of it, or nowhere: relative paths, sorted. What
// they point to is no part of the directory, so no signature over it can speak for what is read
// there. Errors: kIo.
std::vector<std::string> links_out(const std::filesystem::path& directory);

// How a directory differs from what was signed; all empty: not at all.
struct Deviations {
  std::vector<std::string> missing;
  std::vector<std::string> altered;
  std::vector<std::string> unsigned_files;
  bool none() const { return missing.empty() && altered.empty() && unsigned_files.empty(); }
};

Deviations compare(const std::map<std::string, Digest>& was_signed,
                   const std::map<std::string, Digest>& found);

}  // namespace reprise::attest
