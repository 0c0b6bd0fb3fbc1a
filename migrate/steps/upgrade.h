// The one way from any version and any dialect to schema version 5.
//
// Everything here is a pure function from document to document: the document that
// goes in is not changed, tensors are shared, and no file is opened.
#pragma once

#include "ckpt/base/sha256.h"
#include "ckpt/state/value.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace reprise::migrate {

// What the document alone does not say.
struct UpgradeOptions {
  // Takes part where the content fits several dialects, or none by itself.
  std::optional<std::string> dialect;
  // For files that name no architecture; a file that does wins, and a contradiction
  // is kMismatch.
  std::optional<std::string> arch;
  std::optional<std::string> arch_head;
  // SHA-256 of the whole file, asked for only when the file has no UUID of its own.
  std::function<Digest()> file_digest;
  // The other half of a pair (XDPX: the .pts beside a .pt), if there is one.
  std::optional<Document> companion;
};

// One step that was taken, with what it changed, in words.
struct StepReport {
  std::string step;
  std::vector<std::string> changed;
};

struct Upgraded {
  Document document;                   // schema version 5
  std::optional<int> schema;           // the version it had, for this project's own files
  std::optional<std::string> dialect;  // the trainer it came from, for all others
  std::vector<StepReport> steps;       // empty for a version-5 document in normal form
  std::vector<std::string> unmapped;   // top-level keys kept under reprise/unmapped
};

// Upgrades to version 5. Cost: O(nodes); reads no tensor bytes, except single
// integers of an optimizer's state.
// Errors: kUsage when several dialects fit (they are named) or the given one does
// not; kUnsupported when nothing fits, or the version is newer than 5; kCorrupt
// when the content contradicts its version; kMismatch for options that contradict it.
Upgraded upgrade(const Document& document, const UpgradeOptions& options = {});

// The dialects that fit a document, by name; empty for this project's own files.
std::vector<std::string> fitting_dialects(const Document& document, bool has_companion = false);

// Every dialect name that UpgradeOptions::dialect accepts.
std::vector<std::string> dialect_names();

// True for the half of an XDPX pair that holds no weights (.pts): it is read
// together with its .pt, never by itself.
bool is_pair_without_weights(const Document& document);

}  // namespace reprise::migrate
