#include "repro/tensorboard/record_file.h"

#include <array>

namespace reprise::tensorboard {
namespace {

constexpr std::uint64_t kFileLimit = 1u << 30;
constexpr std::size_t kHead = 12, kTail = 4;

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t n = 0; n < table.size(); ++n) {
    std::uint32_t c = n;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? 0x82f63b78U ^ (c >> 1) : c >> 1;
    table[n] = c;
  }
  return table;
}
constexpr auto kTable = make_table();

// A CRC of data that holds CRCs is weak, so stored ones are rotated and offset.
std::uint32_t masked(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

std::string little_endian(std::uint64_t value, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

std::uint64_t number_in(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  }
  return value;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t c = ~0U;
  for (const char byte : bytes) c = kTable[(c ^ static_cast<std::uint8_t>(byte)) & 0xff] ^ (c >> 8);
  return ~c;
}

std::string framed(std::string_view data) {
  const std::string length = little_endian(data.size(), 8);
  return length + little_endian(masked(length), 4) + std::string(data) +
         little_endian(masked(data), 4);
}

std::uint64_t read_records(const std::filesystem::path& path,
                           const std::function<bool(std::string_view)>& visit) {
  const std::string text = read_text(path, kFileLimit);
  const std::string_view all = text;
  std::size_t at = 0;
  while (all.size() - at >= kHead + kTail) {
    const std::string_view length = all.substr(at, 8);
    const std::uint64_t size = number_in(length);
    if (number_in(all.substr(at + 8, 4)) != masked(length)) break;
    if (size > all.size() - at - kHead - kTail) break;
    const std::string_view data = all.substr(at + kHead, size);
    if (number_in(all.substr(at + kHead + size, kTail)) != masked(data) || !visit(data)) break;
    at += kHead + size + kTail;
  }
  return at;
}

}  // namespace reprise::tensorboard
