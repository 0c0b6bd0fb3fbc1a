#include "repro/attest/base64.h"

#include "ckpt/base/error.h"

#include <array>
#include <cstdint>

namespace reprise::attest {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string to_base64(Bytes bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t have = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8 | (i < have ? std::to_integer<std::uint32_t>(bytes[at + i]) : 0u);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      out += i <= have ? kDigits[group >> (18 - 6 * i) & 63] : '=';
    }
  }
  return out;
}

std::string from_base64(std::string_view text) {
  if (text.size() % 4 != 0)
    fail(Code::kCorrupt, "base64 of {} characters, no multiple of 4", text.size());
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t at = 0; at < text.size(); at += 4) {
    const bool last = at + 4 == text.size();
    std::size_t padding = 0;
    if (last && text[at + 3] == '=') padding = text[at + 2] == '=' ? 2 : 1;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::size_t digit = i >= 4 - padding ? 0 : kDigits.find(text[at + i]);
      if (digit == kDigits.npos) fail(Code::kCorrupt, "no base64 at character {}", at + i);
      group = group << 6 | static_cast<std::uint32_t>(digit);
    }
    for (std::size_t i = 0; i < 3 - padding; ++i) {
      out += static_cast<char>(group >> (16 - 8 * i) & 0xFF);
    }
    // Bits that no byte takes must be zero: one content, one text.
    if (padding > 0 && (group & (padding == 2 ? 0xFFFFu : 0xFFu)) != 0) {
      fail(Code::kCorrupt, "base64 with stray bits at its end");
    }
  }
  return out;
}

}  // namespace reprise::attest
