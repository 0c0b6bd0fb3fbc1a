// Finds values that look like secrets: private keys, tokens, passwords in assignments and URLs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::fingerprint {

struct Secret {
  std::string_view kind;  // "a GitHub token": a fixed text, safe to print
  std::size_t offset;     // of the value that has to go
  std::size_t length;
  std::size_t line;  // from 1
};

// Every hit in `text`, in order, none overlapping. Judges by value: known token formats, and
// values of high entropy that are assigned to something. Never by file name. One pass of an
// Aho-Corasick automaton over the text, then a check at each candidate: several 100 MB/s.
// It finds what people leave in files by accident; it proves nothing about a file without hits.
std::vector<Secret> find_secrets(std::string_view text);

// `text` with each secret replaced by "[redacted: <kind>]".
std::string redact(std::string_view text);
std::string redact(std::string_view text, const std::vector<Secret>& secrets);

// As redact(), for the value of a variable or option called `name`, which counts as an assignment.
std::string redact_value(std::string_view name, std::string_view value);

}  // namespace reprise::fingerprint
