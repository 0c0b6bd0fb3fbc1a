// Whether a value that stands in a text looks like a secret.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace reprise::fingerprint {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_word(char c) { return is_digit(c) || is_lower(c) || is_upper(c) || c == '_'; }
constexpr bool is_token(char c) { return is_word(c) || c == '-'; }
constexpr bool is_base64(char c) { return is_token(c) || c == '+' || c == '/' || c == '='; }
constexpr char fold(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

// How far a candidate is looked at before it counts as a hit, so that a file made of candidates
// costs time in proportion to its size. A hit is then followed to its end.
inline constexpr std::size_t kLookAhead = 256;

// Shannon entropy of the characters, in bits for each.
double entropy(std::string_view text);

// Words that stand where a secret goes in examples and templates.
bool is_placeholder(std::string_view value);

struct Mixture {
  bool digit = false, lower = false, upper = false;
};
// The kinds of characters in a value.
Mixture mixture(std::string_view value);

struct Range {
  std::size_t offset;
  std::size_t length;
};
struct Assigned {
  Range range;
  bool quoted;
};
// The value assigned at `at`, which stands behind a name: [spaces or quotes] '=' or ':' [spaces]
// then a quoted text or a bare word that the line or a space ends. Looks kLookAhead far.
std::optional<Assigned> assigned_value(std::string_view text, std::size_t at);

// Whether the value of something called "secret" is one, and not code that fetches one.
bool is_named_secret(std::string_view value, bool quoted);

// A random text of base64 or the like, by its own looks. Hexadecimal digests do not reach it.
bool is_random(std::string_view value);

}  // namespace reprise::fingerprint
