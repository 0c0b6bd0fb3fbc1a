#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/open.h"
#include "ckpt/container/pth_legacy.h"
#include "ckpt/container/pth_zip.h"
#include "ckpt/container/safetensors.h"
#include "ckpt/container/tar_directory.h"
#include "ckpt/container/zip_directory.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

namespace reprise::container {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view kHdf5Signature = "\x89HDF\r\n\x1a\n"sv;

bool has_at(Bytes file, std::uint64_t offset, std::string_view mark) {
  return fits(offset, mark.size(), file.size()) &&
         as_text(file.subspan(offset, mark.size())) == mark;
}

// Where HDF5 tools look for a superblock: at 0 and at every power of two from 512 on.
std::optional<std::uint64_t> hdf5_superblock(Bytes file) {
  if (has_at(file, 0, kHdf5Signature)) return 0;
  for (std::uint64_t at = 512; at < file.size(); at *= 2) {
    if (has_at(file, at, kHdf5Signature)) return at;
  }
  return std::nullopt;
}

bool looks_safetensors(Bytes file) {
  if (file.size() < 9) return false;
  const auto length = load_little<std::uint64_t>(file.data());
  return length <= kSafetensorsHeaderLimit && fits(8, length, file.size()) &&
         file[8] == std::byte{'{'};
}

std::string describe(Bytes file) {
  if (has_at(file, 0, "\x80"sv)) return "a bare pickle, which torch.save does not write";
  if (has_at(file, 0, "\x1f\x8b"sv)) return "gzip data; unpack it first";
  if (has_at(file, 0, "version https://git-lfs"sv)) return "a Git LFS pointer; fetch the real file";
  if (has_at(file, 0, "<"sv)) return "a web page";
  const std::size_t length = std::min<std::size_t>(file.size(), 8);
  return fmt::format("beginning with '{}'", printable(as_text(file.first(length))));
}

Format sniff(Bytes file) {
  if (file.empty()) fail(Code::kIncomplete, "the file is empty: its writer never got to write it");
  const auto block = file.first(std::min<std::size_t>(file.size(), 4096));
  const auto superblock = hdf5_superblock(file);
  if (std::all_of(block.begin(), block.end(), [](std::byte b) { return b == std::byte{}; }) &&
      (!superblock || *superblock >= 4096)) {
    fail(Code::kIncomplete,
         "the writer was stopped before it committed this file; use an earlier checkpoint");
  }

  std::vector<Format> matches;
  if (looks_native(file)) {
    matches.push_back(Format::kNative);
  } else if (superblock) {
    matches.push_back(Format::kForeignHdf5);
  }
  if (has_at(file, 0, "PK\x03\x04"sv) || ends_like_zip(file)) matches.push_back(Format::kPthZip);
  if (starts_like_legacy(file)) matches.push_back(Format::kPthLegacy);
  if (starts_like_tar(file)) matches.push_back(Format::kPthTar);
  if (looks_safetensors(file)) matches.push_back(Format::kSafetensors);
  if (matches.size() == 1) return matches.front();
  if (matches.empty()) fail(Code::kCorrupt, "no checkpoint of a known format: {}", describe(file));
  std::vector<std::string_view> names;
  for (const Format format : matches) names.push_back(to_string(format));
  fail(Code::kCorrupt,
       "the file is {} at the same time: what it holds would depend on who opens it; do not trust "
       "it",
       fmt::join(names, " and "));
}

}  // namespace

Format sniff(const MappedFile& file) {
  try {
    const Format format = sniff(file.bytes());
    return format == Format::kPthZip && is_torchscript(file.bytes()) ? Format::kTorchScript
                                                                     : format;
  } catch (const Error& error) {
    throw error.at(file.path().string());
  }
}

Format sniff(const std::filesystem::path& path) { return sniff(*MappedFile::open(path)); }

}  // namespace reprise::container
