// Where in a text a secret could begin: names of things that are secret, and how known tokens
// start.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace reprise::fingerprint {

// What an anchor that was found means.
enum class Hint : std::uint8_t { kPem, kFormat, kUrl, kJwt, kName, kEquals };

struct Anchor {
  std::string_view text;  // in lower case; any case is found
  Hint hint;
  std::string_view kind;
  // For kFormat: the token is the anchor as written in `exact`, then at least this many of
  // is_token.
  std::string_view exact = {};
  std::size_t least = 0;
};

inline constexpr std::array kAnchors = {
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

// Finds all anchors in one pass: Aho-Corasick over bytes folded to lower case (Aho and Corasick
// 1975). Immutable once made; safe to share between threads. Cost: a table of 2 bytes for each of
// 256 characters in each state, and one look-up a byte of the text.
class AnchorAutomaton {
 public:
  AnchorAutomaton();

  // States begin at 0. The state after `state` has seen `c`.
  std::uint16_t step(std::uint16_t state, char c) const {
    return states_[state][static_cast<unsigned char>(c)];
  }
  // The anchors that end there: bit i stands for kAnchors[i].
  std::uint64_t hits(std::uint16_t state) const { return hits_[state]; }

 private:
  void link();

  std::vector<std::array<std::uint16_t, 256>> states_;
  std::vector<std::uint64_t> hits_;
};

}  // namespace reprise::fingerprint
