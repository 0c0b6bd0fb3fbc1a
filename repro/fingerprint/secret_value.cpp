#include "repro/fingerprint/secret_value.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

namespace reprise::fingerprint {

double entropy(std::string_view text) {
  std::array<unsigned, 256> counts{};
  for (const char c : text) ++counts[static_cast<unsigned char>(c)];
  double bits = 0;
  for (const unsigned count : counts) {
    if (count == 0) continue;
    const double p = count / static_cast<double>(text.size());
    bits -= p * std::log2(p);
  }
  return bits;
}

bool is_placeholder(std::string_view value) {
  std::string low;
  for (const char c : value) low += fold(c);
  for (const std::string_view word :
       {"example", "your", "xxx", "changeme", "placeholder", "dummy", "redacted", "sample",
        "replace", "insert", "0000", "1234567"}) {
    if (low.find(word) != low.npos) return true;
  }
  return false;
}

Mixture mixture(std::string_view value) {
  Mixture mix;
  for (const char c : value) {
    mix.digit |= is_digit(c);
    mix.lower |= is_lower(c);
    mix.upper |= is_upper(c);
  }
  return mix;
}

std::optional<Assigned> assigned_value(std::string_view text, std::size_t at) {
  const auto skip = [&](std::string_view characters) {
    const std::size_t limit = std::min(text.size(), at + kLookAhead);
    while (at < limit && characters.find(text[at]) != characters.npos) ++at;
  };
  skip("\"'` \t]");
  if (at >= text.size() || (text[at] != '=' && text[at] != ':')) return std::nullopt;
  ++at;
  if (at < text.size() && text[at] == '=') return std::nullopt;  // a comparison
  skip(" \t");
  if (at < text.size() && (text[at] == '"' || text[at] == '\'' || text[at] == '`')) {
    const char quote = text[at++];
    std::size_t end = at;
    while (end < text.size() && end - at < kLookAhead && text[end] != quote && text[end] != '\n') {
      ++end;
    }
    if (end == text.size() || text[end] != quote) return std::nullopt;
    return Assigned{{at, end - at}, true};
  }
  std::size_t end = at;
  while (end < text.size() && end - at < kLookAhead && text[end] > ' ' && text[end] != '"' &&
         text[end] != ';' && text[end] != ',' && text[end] != '\'' && text[end] != '`') {
    ++end;
  }
  return Assigned{{at, end - at}, false};
}

bool is_named_secret(std::string_view value, bool quoted) {
  if (value.size() < 8 || value.size() > 512 || is_placeholder(value)) return false;
  if (value.find_first_of(" \t<>{}()$[]|\\%*") != value.npos) return false;
  const Mixture mix = mixture(value);
  if (quoted) return mix.digit && (mix.lower || mix.upper) && entropy(value) >= 2.5;
  // Bare words are mostly code (`token = next_token2`); in an .env or ini file they are secrets.
  // Identifiers have no more than a digit or two.
  for (const char c : value) {
    if (!is_base64(c) && c != '!' && c != '@' && c != '#' && c != '^') return false;
  }
  const auto digits = std::count_if(value.begin(), value.end(), is_digit);
  return digits >= 3 && (mix.lower || mix.upper) && entropy(value) >= 3.0;
}

bool is_random(std::string_view value) {
  if (value.size() < 32 || value.size() > 128) return false;
  for (const char c : value) {
    if (!is_base64(c)) return false;
  }
  // Base64 pads at its end only; elsewhere '=' is a list of settings.
  if (value.substr(0, value.size() - 2).find('=') != value.npos) return false;
  const Mixture mix = mixture(value);
  if (!mix.digit || !mix.lower || !mix.upper) return false;
  for (const std::string_view prefix : {"sha256-", "sha384-", "sha512-", "data:"}) {
    if (value.starts_with(prefix)) return false;
  }
  // Paths and identifiers are words; random text changes its kind of character all the time.
  std::size_t changes = 0;
  const auto kind = [](char c) { return is_digit(c) ? 0 : is_lower(c) ? 1 : is_upper(c) ? 2 : 3; };
  for (std::size_t i = 1; i < value.size(); ++i) changes += kind(value[i]) != kind(value[i - 1]);
  return entropy(value) >= 4.3 && changes * 5 >= value.size() * 2;
}

}  // namespace reprise::fingerprint
