#include "repro/tensorboard/png.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <array>

namespace reprise::tensorboard {
namespace {

// CRC-32 of the specification's annex D.
constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t n = 0; n < table.size(); ++n) {
    std::uint32_t c = n;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? 0xedb88320U ^ (c >> 1) : c >> 1;
    table[n] = c;
  }
  return table;
}
constexpr auto kTable = make_table();

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t c = ~0U;
  for (const char byte : bytes) c = kTable[(c ^ static_cast<std::uint8_t>(byte)) & 0xff] ^ (c >> 8);
  return ~c;
}

std::uint32_t adler32(std::string_view bytes) {
  std::uint32_t a = 1, b = 0;
  for (const char byte : bytes) {
    a = (a + static_cast<std::uint8_t>(byte)) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

void put_big_endian(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

void put_chunk(std::string& out, std::string_view type, std::string_view data) {
  put_big_endian(out, static_cast<std::uint32_t>(data.size()));
  const std::string body = std::string(type) + std::string(data);
  out += body;
  put_big_endian(out, crc32(body));
}

// A zlib stream (RFC 1950) of stored blocks (RFC 1951, 3.2.4).
std::string stored(std::string_view data) {
  constexpr std::size_t kBlock = 65535;
  std::string out("\x78\x01", 2);
  for (std::size_t at = 0; at < data.size() || at == 0; at += kBlock) {
    const std::string_view block = data.substr(at, kBlock);
    const auto size = static_cast<std::uint16_t>(block.size());
    out += at + kBlock >= data.size() ? '\1' : '\0';
    for (const std::uint16_t word : {size, static_cast<std::uint16_t>(~size)}) {
      out += static_cast<char>(word & 0xff);
      out += static_cast<char>(word >> 8);
    }
    out += block;
  }
  put_big_endian(out, adler32(data));
  return out;
}

}  // namespace

std::string encode_png(const Picture& picture) {
  const std::size_t row = std::size_t{picture.width} * picture.channels;
  const bool known = picture.channels == 1 || picture.channels == 3;
  if (!known || row == 0 || picture.height == 0 || picture.pixels.size() != row * picture.height) {
    fail(Code::kInternal, "a picture of {} x {} x {} has {} bytes", picture.height, picture.width,
         picture.channels, picture.pixels.size());
  }
  std::string lines;
  lines.reserve((row + 1) * picture.height);
  for (std::size_t y = 0; y < picture.height; ++y) {
    lines += '\0';  // filter: none
    const auto line = picture.pixels.subspan(y * row, row);
    lines.append(line.begin(), line.end());
  }
  std::string header;
  put_big_endian(header, picture.width);
  put_big_endian(header, picture.height);
  header += '\x08';
  header += picture.channels == 3 ? '\2' : '\0';
  header += std::string(3, '\0');
  std::string out("\x89PNG\r\n\x1a\n", 8);
  put_chunk(out, "IHDR", header);
  put_chunk(out, "IDAT", stored(lines));
  put_chunk(out, "IEND", "");
  return out;
}

}  // namespace reprise::tensorboard
