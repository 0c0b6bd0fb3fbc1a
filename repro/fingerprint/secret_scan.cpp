#include "repro/fingerprint/secret_scan.h"

#include "repro/fingerprint/secret_anchors.h"
#include "repro/fingerprint/secret_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <tuple>

namespace reprise::fingerprint {
namespace {

constexpr std::size_t kWebTokenLimit = 8192;  // the middle part of a JSON web token
constexpr std::size_t kArmourLimit = 16u << 10;

// The secret that an anchor at [begin, end) belongs to; nothing when it belongs to none.
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
  static const AnchorAutomaton automaton;
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
