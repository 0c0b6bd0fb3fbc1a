#include "ckpt/pickle/text.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace reprise::pickle {

namespace {

constexpr std::size_t kMostDecimalDigits = 4300;

unsigned char byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// Length of the sequence at `i` in UTF-8 with surrogates allowed, 0 when there is none.
std::size_t sequence_length(std::string_view text, std::size_t i) {
  const auto follows = [&](std::size_t at, unsigned low = 0x80) {
    return at < text.size() && byte_at(text, at) >= low && byte_at(text, at) <= 0xBF;
  };
  const unsigned lead = byte_at(text, i);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return follows(i + 1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    return follows(i + 1, lead == 0xE0 ? 0xA0 : 0x80) && follows(i + 2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (!follows(i + 1, lead == 0xF0 ? 0x90 : 0x80)) return 0;
    if (lead == 0xF4 && byte_at(text, i + 1) > 0x8F) return 0;
    return follows(i + 2) && follows(i + 3) ? 4 : 0;
  }
  return 0;
}

// How many bytes at the start of `text` are ASCII, eight at a time.
std::size_t ascii_prefix(std::string_view text) {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, sizeof word);
    if ((word & 0x8080808080808080u) != 0) break;
  }
  while (i < text.size() && byte_at(text, i) < 0x80) ++i;
  return i;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

std::uint32_t hex_number(std::string_view text, std::size_t at, std::size_t digits) {
  std::uint32_t value = 0;
  if (at + digits > text.size()) fail(Code::kCorrupt, "an escape in a string is cut short");
  const char* end = text.data() + at + digits;
  const auto [stop, error] = std::from_chars(text.data() + at, end, value, 16);
  if (error != std::errc() || stop != end) {
    fail(Code::kCorrupt, "'{}' in a string is no escape",
         printable(text.substr(at - 2, digits + 2)));
  }
  return value;
}

}  // namespace

bool is_ascii(std::string_view text) { return ascii_prefix(text) == text.size(); }

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0;;) {
    i += ascii_prefix(text.substr(i));
    if (i == text.size()) return true;
    const std::size_t length = sequence_length(text, i);
    if (length == 0) return false;
    i += length;
  }
}

Value decimal_integer(Arena& arena, std::string_view text) {
  std::string_view digits = text;
  while (!digits.empty() && digits.front() == ' ') digits.remove_prefix(1);
  while (!digits.empty() && (digits.back() == ' ' || digits.back() == '\r'))
    digits.remove_suffix(1);
  const bool negative = !digits.empty() && digits.front() == '-';
  if (!digits.empty() && (negative || digits.front() == '+')) digits.remove_prefix(1);
  const bool all_digits = std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
  if (digits.empty() || !all_digits) {
    fail(Code::kCorrupt, "'{}' is no integer", printable(text, 40));
  }
  if (digits.size() > kMostDecimalDigits) {
    fail(Code::kUnsupported, "an integer of {} decimal digits; at most {} are read", digits.size(),
         kMostDecimalDigits);
  }
  // Schoolbook multiplication by ten is cheap up to the limit above.
  std::vector<std::uint32_t> limbs;
  for (const char digit : digits) {
    std::uint64_t carry = static_cast<std::uint64_t>(digit - '0');
    for (std::uint32_t& limb : limbs) {
      carry += std::uint64_t{limb} * 10;
      limb = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    if (carry != 0) limbs.push_back(static_cast<std::uint32_t>(carry));
  }
  limbs.push_back(0);  // room for the sign
  if (negative) {
    std::uint64_t carry = 1;
    for (std::uint32_t& limb : limbs) {
      carry += static_cast<std::uint32_t>(~limb);
      limb = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
  }
  return arena.big_integer(std::as_bytes(std::span(limbs)));
}

double decimal_float(std::string_view text) {
  std::string_view digits = text;
  while (!digits.empty() && (digits.front() == ' ' || digits.front() == '+'))
    digits.remove_prefix(1);
  while (!digits.empty() && (digits.back() == ' ' || digits.back() == '\r'))
    digits.remove_suffix(1);
  double value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (stop != end || digits.empty() || error == std::errc::invalid_argument) {
    fail(Code::kCorrupt, "'{}' is no number", printable(text, 40));
  }
  if (error == std::errc::result_out_of_range) {
    // from_chars does not say on which side; strtod gives 0 or infinity, as Python does.
    return std::strtod(std::string(digits).c_str(), nullptr);
  }
  return value;
}

std::uint64_t memo_index(std::string_view text) {
  if (text.ends_with('\r')) text.remove_suffix(1);
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) {
    fail(Code::kCorrupt, "'{}' is no memo index", printable(text, 40));
  }
  return value;
}

std::string unquoted(std::string_view literal) {
  if (literal.ends_with('\r')) literal.remove_suffix(1);
  if (literal.size() < 2 || (literal.front() != '\'' && literal.front() != '"') ||
      literal.back() != literal.front()) {
    fail(Code::kCorrupt, "a string literal without matching quotes: {}", printable(literal, 40));
  }
  const std::string_view text = literal.substr(1, literal.size() - 2);
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out.push_back(text[i]);
      continue;
    }
    if (++i == text.size()) fail(Code::kCorrupt, "a string literal ends in a backslash");
    switch (text[i]) {
      case '\\':
      case '\'':
      case '"': out.push_back(text[i]); break;
      case 'a': out.push_back('\a'); break;
      case 'b': out.push_back('\b'); break;
      case 'f': out.push_back('\f'); break;
      case 'n': out.push_back('\n'); break;
      case 'r': out.push_back('\r'); break;
      case 't': out.push_back('\t'); break;
      case 'v': out.push_back('\v'); break;
      case 'x':
        out.push_back(static_cast<char>(hex_number(text, i + 1, 2)));
        i += 2;
        break;
      default:
        if (text[i] >= '0' && text[i] <= '7') {
          unsigned value = 0;
          std::size_t used = 0;
          while (used < 3 && i + used < text.size() && text[i + used] >= '0' &&
                 text[i + used] <= '7') {
            value = value * 8 + static_cast<unsigned>(text[i + used++] - '0');
          }
          out.push_back(static_cast<char>(value & 0xFF));
          i += used - 1;
        } else {  // Python keeps what it does not know
          out.push_back('\\');
          out.push_back(text[i]);
        }
    }
  }
  return out;
}

std::string raw_unicode_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '\\') {
      // Only an odd run of backslashes escapes.
      std::size_t run = 0;
      while (i + run < text.size() && text[i + run] == '\\') ++run;
      out.append(run - 1, '\\');
      i += run;
      const char kind = i < text.size() ? text[i] : '\0';
      if (run % 2 == 1 && (kind == 'u' || kind == 'U')) {
        const std::size_t digits = kind == 'u' ? 4 : 8;
        const std::uint32_t code = hex_number(text, i + 1, digits);
        if (code > 0x10FFFF) fail(Code::kCorrupt, "a string holds U+{:X}, beyond Unicode", code);
        append_utf8(out, code);
        i += 1 + digits;
      } else {
        out.push_back('\\');
      }
      continue;
    }
    append_utf8(out, byte_at(text, i++));
  }
  return out;
}

std::optional<std::string> latin1_bytes(std::string_view utf8) {
  std::string out;
  out.reserve(utf8.size());
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const unsigned lead = byte_at(utf8, i);
    if (lead < 0x80) {
      out.push_back(utf8[i]);
    } else if (lead <= 0xC3 && i + 1 < utf8.size()) {
      out.push_back(static_cast<char>((lead & 0x03) << 6 | (byte_at(utf8, ++i) & 0x3F)));
    } else {
      return std::nullopt;
    }
  }
  return out;
}

std::string to_decimal(Bytes little_endian) {
  std::vector<std::uint32_t> limbs((little_endian.size() + 3) / 4 + 1);
  const bool negative =
      !little_endian.empty() && (std::to_integer<unsigned>(little_endian.back()) & 0x80) != 0;
  std::memset(limbs.data(), negative ? 0xFF : 0, limbs.size() * 4);
  std::memcpy(limbs.data(), little_endian.data(), little_endian.size());
  if (negative) {
    std::uint64_t carry = 1;
    for (std::uint32_t& limb : limbs) {
      carry += static_cast<std::uint32_t>(~limb);
      limb = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
  }
  constexpr std::uint64_t kBase = 1'000'000'000;
  std::vector<std::uint32_t> groups;  // of nine digits, least significant first
  while (!limbs.empty()) {
    std::uint64_t rest = 0;
    for (std::size_t i = limbs.size(); i-- > 0;) {
      rest = rest << 32 | limbs[i];
      limbs[i] = static_cast<std::uint32_t>(rest / kBase);
      rest %= kBase;
    }
    groups.push_back(static_cast<std::uint32_t>(rest));
    while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
  }
  std::string out = negative ? "-" : "";
  for (std::size_t i = groups.size(); i-- > 0;) {
    out += i + 1 == groups.size() ? fmt::format("{}", groups[i]) : fmt::format("{:09}", groups[i]);
  }
  return out;
}

}  // namespace reprise::pickle
