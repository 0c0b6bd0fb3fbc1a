#include "repro/fingerprint/secret_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <tuple>

namespace reprise::fingerprint {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_word(char c) { return is_digit(c) || is_lower(c) || is_upper(c) || c == '_'; }
constexpr bool is_token(char c) { return is_word(c) || c == '-'; }
constexpr bool is_base64(char c) { return is_token(c) || c == '+' || c == '/' || c == '='; }
constexpr char fold(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

// How far a candidate is looked at before it counts as a hit, so that a file made of candidates
// costs time in proportion to its size. A hit is then followed to its end.
constexpr std::size_t kLookAhead = 256;
constexpr std::size_t kWebTokenLimit = 8192;  // the middle part of a JSON web token
constexpr std::size_t kArmourLimit = 16u << 10;

// What the automaton looks for, folded to lower case, and what a hit means.
enum class Hint : std::uint8_t { kPem, kFormat, kUrl, kJwt, kName, kEquals };

struct Anchor {
  std::string_view text;
  Hint hint;
  std::string_view kind;
  // For kFormat: the token is the anchor as written in `exact`, then at least this many of
  // is_token.
  std::string_view exact = {};
  std::size_t least = 0;
};

constexpr std::array kAnchors = {
    Anchor{"-----begin ", Hint::kPem, "a private key"},
    Anchor{"akia", Hint::kFormat, "an AWS access key", "AKIA", 16},
    Anchor{"asia", Hint::kFormat, "an AWS access key", "ASIA", 16},
    Anchor{"ghp_", Hint::kFormat, "a GitHub token", "ghp_", 36},
    Anchor{"gho_", Hint::kFormat, "a GitHub token", "gho_", 36},
    Anchor{"ghu_", Hint::kFormat, "a GitHub token", "ghu_", 36},
    Anchor{"ghs_", Hint::kFormat, "a GitHub token", "ghs_", 36},
    Anchor{"ghr_", Hint::kFormat, "a GitHub token", "ghr_", 36},
    Anchor{"github_pat_", Hint::kFormat, "a GitHub token", "github_pat_", 22},
    Anchor{"glpat-", Hint::kFormat, "a GitLab token", "glpat-", 20},
    Anchor{"hf_", Hint::kFormat, "a Hugging Face token", "hf_", 30},
    Anchor{"sk-", Hint::kFormat, "an API key", "sk-", 32},
    Anchor{"sk_live_", Hint::kFormat, "an API key", "sk_live_", 16},
    Anchor{"rk_live_", Hint::kFormat, "an API key", "rk_live_", 16},
    Anchor{"xoxb-", Hint::kFormat, "a Slack token", "xoxb-", 20},
    Anchor{"xoxp-", Hint::kFormat, "a Slack token", "xoxp-", 20},
    Anchor{"xoxa-", Hint::kFormat, "a Slack token", "xoxa-", 20},
    Anchor{"xoxr-", Hint::kFormat, "a Slack token", "xoxr-", 20},
    Anchor{"aiza", Hint::kFormat, "a Google API key", "AIza", 35},
    Anchor{"npm_", Hint::kFormat, "an npm token", "npm_", 36},
    Anchor{"pypi-ageichlwas", Hint::kFormat, "a PyPI token", "pypi-AgEIcHlwaS", 50},
    Anchor{"dop_v1_", Hint::kFormat, "an access token", "dop_v1_", 64},
    Anchor{"eyj", Hint::kJwt, "a JSON web token"},
    Anchor{"://", Hint::kUrl, "a password in a URL"},
    Anchor{"secret", Hint::kName, "a secret"},
    Anchor{"token", Hint::kName, "a token"},
    Anchor{"passw", Hint::kName, "a password"},
    Anchor{"api_key", Hint::kName, "an API key"},
    Anchor{"api-key", Hint::kName, "an API key"},
    Anchor{"apikey", Hint::kName, "an API key"},
    Anchor{"access_key", Hint::kName, "an access key"},
    Anchor{"accesskey", Hint::kName, "an access key"},
    Anchor{"account_key", Hint::kName, "an access key"},
    Anchor{"accountkey", Hint::kName, "an access key"},
    Anchor{"private_key", Hint::kName, "a private key"},
    Anchor{"credential", Hint::kName, "a credential"},
    Anchor{"=", Hint::kEquals, "a value of high entropy"},
};

// Aho-Corasick over bytes folded to lower case (Aho and Corasick 1975). State 0 is the root; for
// each state the anchors that end there, one bit each.
class Automaton {
 public:
  Automaton() {
    states_.emplace_back();
    hits_.push_back(0);
    static_assert(kAnchors.size() <= 64);
    for (std::size_t i = 0; i < kAnchors.size(); ++i) {
      std::uint16_t state = 0;
      for (const char c : kAnchors[i].text) {
        std::uint16_t& next = states_[state][static_cast<unsigned char>(c)];
        if (next == 0) {
          next = static_cast<std::uint16_t>(states_.size());
          const std::uint16_t made = next;  // `next` dangles when states_ grows
          states_.emplace_back();
          hits_.push_back(0);
          state = made;
        } else {
          state = next;
        }
      }
      hits_[state] |= std::uint64_t{1} << i;
    }
    link();
  }

  std::uint16_t step(std::uint16_t state, char c) const {
    return states_[state][static_cast<unsigned char>(c)];
  }
  std::uint64_t hits(std::uint16_t state) const { return hits_[state]; }

 private:
  // Completes the transitions breadth first and lets upper case go where lower case goes.
  void link() {
    std::vector<std::uint16_t> queue;
    std::vector<std::uint16_t> fallback(states_.size(), 0);
    for (const std::uint16_t next : states_[0]) {
      if (next != 0) queue.push_back(next);
    }
    for (std::size_t at = 0; at < queue.size(); ++at) {
      const std::uint16_t state = queue[at];
      hits_[state] |= hits_[fallback[state]];
      for (std::size_t c = 0; c < 256; ++c) {
        std::uint16_t& next = states_[state][c];
        const std::uint16_t other = states_[fallback[state]][c];
        if (next == 0) {
          next = other;
        } else {
          fallback[next] = other;
          queue.push_back(next);
        }
      }
    }
    for (auto& row : states_) {
      for (std::size_t c = 'A'; c <= 'Z'; ++c) row[c] = row[c - 'A' + 'a'];
    }
  }

  std::vector<std::array<std::uint16_t, 256>> states_;
  std::vector<std::uint64_t> hits_;
};

// Shannon entropy of the characters, in bits for each.
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

struct Mixture {
  bool digit = false, lower = false, upper = false;
};
Mixture mixture(std::string_view value) {
  Mixture mix;
  for (const char c : value) {
    mix.digit |= is_digit(c);
    mix.lower |= is_lower(c);
    mix.upper |= is_upper(c);
  }
  return mix;
}

struct Range {
  std::size_t offset;
  std::size_t length;
};

// The value assigned at `at`, which stands behind a name: [spaces or quotes] '=' or ':' [spaces]
// then a quoted text or a bare word that the line or a space ends.
struct Assigned {
  Range range;
  bool quoted;
};
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

// Whether the value of something called "secret" is one, and not code that fetches one.
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

// A random text of base64 or the like, by its own looks. Hexadecimal digests do not reach it.
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

std::optional<Range> check(std::string_view text, std::size_t begin, std::size_t end,
                           const Anchor& anchor) {
  const auto run = [&](std::size_t from, auto&& accepts, std::size_t ahead = kLookAhead) {
    std::size_t to = from;
    const std::size_t limit = std::min(text.size(), from + ahead);
    while (to < limit && accepts(text[to])) ++to;
    return to - from;
  };
  switch (anchor.hint) {
    case Hint::kPem: {
      const std::string_view start = text.substr(begin, 100);
      const std::string_view line = start.substr(0, start.find('\n'));
      const std::size_t line_end = begin + line.size();
      if (line.find("PRIVATE KEY-----") == line.npos) return std::nullopt;
      // The armour alone is a string in somebody's parser; a key has a body.
      std::size_t body = begin + line.find("PRIVATE KEY-----") + 16;
      while (body < text.size() && !is_base64(text[body]) && body < line_end + 4) ++body;
      if (run(body, is_base64) < 32) return std::nullopt;
      const std::string_view armour = text.substr(begin, kArmourLimit);
      const std::size_t close = armour.find("-----END", 11);
      const std::size_t stop = close == armour.npos ? armour.size() : armour.find('\n', close);
      return Range{begin, std::min(stop, armour.size())};
    }
    case Hint::kFormat: {
      if (text.substr(begin, anchor.text.size()) != anchor.exact) return std::nullopt;
      if (begin > 0 && is_word(text[begin - 1])) return std::nullopt;
      const std::size_t length = run(end, is_token);
      const std::string_view value = text.substr(end, length);
      if (length < anchor.least || is_placeholder(value) || entropy(value) < 3.0) {
        return std::nullopt;
      }
      if (anchor.exact[1] == 'K' || anchor.exact == "ASIA") {
        if (length != 16 || mixture(value).lower) return std::nullopt;
      } else if (!mixture(value).digit) {
        return std::nullopt;
      }
      return Range{begin, anchor.text.size() + length};
    }
    case Hint::kJwt: {
      if (text.substr(begin, 3) != "eyJ" || (begin > 0 && is_word(text[begin - 1]))) {
        return std::nullopt;
      }
      const auto part = [&](std::size_t from) { return run(from, is_token, kWebTokenLimit); };
      const std::size_t first = run(begin, is_token);
      const std::size_t second = begin + first + 1;
      if (first < 16 || second >= text.size() || text[second - 1] != '.' ||
          !text.substr(second).starts_with("eyJ")) {
        return std::nullopt;
      }
      const std::size_t third = second + part(second) + 1;
      if (third >= text.size() || text[third - 1] != '.' || part(third) < 16) return std::nullopt;
      return Range{begin, third + part(third) - begin};
    }
    case Hint::kUrl: {
      const std::string_view ahead = text.substr(end, kLookAhead);
      const std::string_view authority = ahead.substr(0, ahead.find_first_of("/ \t\r\n\"'<>`,?#"));
      const std::size_t at = authority.rfind('@');
      const std::size_t colon = authority.find(':');
      if (at == authority.npos || colon == authority.npos || colon >= at) return std::nullopt;
      const std::string_view password = authority.substr(colon + 1, at - colon - 1);
      if (password.size() < 4 || password.find_first_of("${}%()[]*") != password.npos ||
          is_placeholder(authority)) {
        return std::nullopt;
      }
      // "user:password@", "USER:TOKEN@": one short word in one case is documentation.
      const Mixture mix = mixture(password);
      if (password.size() < 12 && !mix.digit && !(mix.lower && mix.upper) &&
          std::all_of(password.begin(), password.end(), is_word)) {
        return std::nullopt;
      }
      return Range{end + colon + 1, password.size()};
    }
    case Hint::kName: {
      // What a language model calls tokens is no secret: tokenizer, max_tokens, bos_token_id.
      if (anchor.text == "token") {
        for (const std::string_view next : {"iz", "s", "_id", "_type"}) {
          if (text.substr(end).starts_with(next)) return std::nullopt;
        }
      }
      // To the end of the name: "SECRET" in AWS_SECRET_ACCESS_KEY.
      const std::size_t name_end = end + run(end, is_token);
      const auto value = assigned_value(text, name_end);
      if (!value) return std::nullopt;
      const std::string_view word = text.substr(value->range.offset, value->range.length);
      return is_named_secret(word, value->quoted) ? std::optional(value->range) : std::nullopt;
    }
    case Hint::kEquals: {
      if (begin > 0 && (text[begin - 1] == '=' || text[begin - 1] == '!')) return std::nullopt;
      const auto value = assigned_value(text, begin);
      if (!value) return std::nullopt;
      const std::string_view word = text.substr(value->range.offset, value->range.length);
      return is_random(word) ? std::optional(value->range) : std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<Secret> find_secrets(std::string_view text) {
  static const Automaton automaton;
  std::vector<Secret> found;
  std::size_t covered = 0;  // where the hits so far end
  std::uint16_t state = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    state = automaton.step(state, text[i]);
    for (std::uint64_t hits = automaton.hits(state); hits != 0; hits &= hits - 1) {
      const Anchor& anchor = kAnchors[static_cast<std::size_t>(std::countr_zero(hits))];
      const std::size_t begin = i + 1 - anchor.text.size();
      if (begin + kLookAhead < covered) continue;  // deep inside a hit
      const auto range = check(text, begin, i + 1, anchor);
      if (range && range->length > 0) {
        // What stands behind a long token belongs to it.
        std::size_t end = range->offset + range->length;
        while (range->length >= kLookAhead / 2 && end < text.size() && is_base64(text[end])) ++end;
        covered = std::max(covered, end);
        found.push_back({anchor.kind, range->offset, end - range->offset, 0});
      }
    }
  }
  // A token in an assignment is found twice: the first by place stays, then the longer one, then
  // the one that kAnchors names first, which says best what it is.
  const auto rank = [](std::string_view kind) {
    return std::find_if(kAnchors.begin(), kAnchors.end(),
                        [&](const Anchor& anchor) { return anchor.kind == kind; }) -
           kAnchors.begin();
  };
  std::sort(found.begin(), found.end(), [&](const Secret& a, const Secret& b) {
    return std::tuple(a.offset, b.length, rank(a.kind)) <
           std::tuple(b.offset, a.length, rank(b.kind));
  });
  std::vector<Secret> out;
  std::size_t line = 1;
  std::size_t counted = 0;
  for (Secret& secret : found) {
    if (!out.empty() && secret.offset < out.back().offset + out.back().length) {
      out.back().length =
          std::max(out.back().offset + out.back().length, secret.offset + secret.length) -
          out.back().offset;
      continue;
    }
    line += static_cast<std::size_t>(
        std::count(text.begin() + static_cast<std::ptrdiff_t>(counted),
                   text.begin() + static_cast<std::ptrdiff_t>(secret.offset), '\n'));
    counted = secret.offset;
    secret.line = line;
    out.push_back(secret);
  }
  return out;
}

std::string redact(std::string_view text) { return redact(text, find_secrets(text)); }

std::string redact(std::string_view text, const std::vector<Secret>& secrets) {
  std::string out;
  std::size_t at = 0;
  for (const Secret& secret : secrets) {
    out += text.substr(at, secret.offset - at);
    out += fmt::format("[redacted: {}]", secret.kind);
    at = secret.offset + secret.length;
  }
  out += text.substr(at);
  return out;
}

std::string redact_value(std::string_view name, std::string_view value) {
  const std::string assignment = fmt::format("{}={}", name, value);
  const std::string clean = redact(assignment, find_secrets(assignment));
  // A hit that began in the name (a URL called so) still leaves a usable text behind '='.
  return clean.starts_with(fmt::format("{}=", name)) ? clean.substr(name.size() + 1) : clean;
}

}  // namespace reprise::fingerprint
