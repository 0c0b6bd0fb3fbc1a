#include "ckpt/container/tar_directory.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <optional>

namespace reprise::container {

namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kMostMembers = 1024;  // the format of PyTorch 0.1 has four

// Octal digits, ended by a space, a NUL or the end of the field.
std::optional<std::uint64_t> octal(Bytes field) {
  std::string_view text = as_text(field);
  while (text.starts_with(' ')) text.remove_prefix(1);
  std::uint64_t value = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '7'; ++digits) {
    value = value * 8 + static_cast<std::uint64_t>(text[digits] - '0');
  }
  if (digits == 0 || (digits < text.size() && text[digits] != ' ' && text[digits] != '\0'))
    return std::nullopt;
  return value;
}

bool has_right_checksum(Bytes header) {
  const auto stored = octal(header.subspan(148, 8));
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    sum += i >= 148 && i < 156 ? ' ' : std::to_integer<std::uint64_t>(header[i]);
  }
  return stored == sum;
}

std::string text_field(Bytes field) {
  const std::string_view text = as_text(field);
  return std::string(text.substr(0, text.find('\0')));
}

bool is_zero(Bytes block) {
  return std::ranges::all_of(block, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

void walk_tar(Bytes archive, const std::function<void(const TarMember&)>& take) {
  for (std::uint64_t at = 0;;) {
    if (!fits(at, kBlock, archive.size()))
      fail(Code::kCorrupt, "byte {}: a tar archive without an end; it is truncated", at);
    const Bytes header = archive.subspan(at, kBlock);
    if (is_zero(header)) {
      // Two blocks of zeros end an archive, and zeros fill its last record.
      if (archive.size() % kBlock != 0 || !fits(at, 2 * kBlock, archive.size()))
        fail(Code::kCorrupt, "byte {}: a tar archive ends within its end; it is truncated", at);
      if (!is_zero(archive.subspan(at)))
        fail(Code::kCorrupt, "byte {}: something lies behind the end of a tar archive", at);
      return;
    }
    const auto size = octal(header.subspan(124, 12));
    if (!has_right_checksum(header) || !size) {
      fail(Code::kCorrupt, "byte {}: a tar header with a wrong checksum; the file is damaged", at);
    }
    if (!fits(at + kBlock, *size, archive.size())) {
      fail(Code::kCorrupt, "byte {}: a tar member of {} bytes reaches beyond the end of the file",
           at, *size);
    }
    std::string name = text_field(header.first(100));
    while (name.starts_with("./")) name.erase(0, 2);
    const char type = header[156] == std::byte{0} ? '0' : static_cast<char>(header[156]);
    take({std::move(name), type, at, archive.subspan(at + kBlock, *size)});
    at += kBlock + align_up(*size, kBlock);
  }
}

std::map<std::string, Bytes> read_tar(Bytes archive) {
  std::map<std::string, Bytes> members;
  walk_tar(archive, [&](const TarMember& member) {
    if (member.type == '5') return;  // a directory
    if (member.type == 'x' || member.type == 'g') {
      // Attributes say nothing here, unless they would make other programs see other members.
      for (const std::string_view word : {" size=", " path=", " GNU.sparse"}) {
        if (as_text(member.data).find(word) != std::string_view::npos)
          fail(Code::kUnsupported, "byte {}: a tar header that overrides{}", member.offset_bytes,
               word);
      }
      return;
    }
    if (member.type != '0') {
      fail(Code::kUnsupported, "byte {}: a tar member of type '{}'", member.offset_bytes,
           printable(std::string(1, member.type)));
    }
    if (members.size() == kMostMembers)
      fail(Code::kUnsupported, "a tar archive of more than {} members", kMostMembers);
    if (!members.emplace(member.name, member.data).second) {
      fail(Code::kCorrupt, "byte {}: '{}' occurs twice in the tar archive", member.offset_bytes,
           printable(member.name));
    }
  });
  return members;
}

bool starts_like_tar(Bytes file) {
  return file.size() >= kBlock && !is_zero(file.first(kBlock)) &&
         has_right_checksum(file.first(kBlock));
}

}  // namespace reprise::container
