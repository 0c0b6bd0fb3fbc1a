#include "ckpt/container/scan_file.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/deflate.h"
#include "ckpt/container/tar_directory.h"
#include "ckpt/container/zip_directory.h"
#include "ckpt/pickle/opcodes.h"

#include <algorithm>
#include <utility>

namespace reprise::container {

namespace {

constexpr int kDeepestArchive = 4;
constexpr std::uint64_t kLargestInflated = 1u << 30;  // of one entry; a pickle is far smaller
constexpr std::size_t kLocalHeader = 30;

bool begins(Bytes bytes, std::string_view mark) {
  return bytes.size() >= mark.size() && as_text(bytes.first(mark.size())) == mark;
}

bool has_protocol(Bytes bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x80} &&
         std::to_integer<int>(bytes[1]) <= pickle::kHighestProtocol;
}

class FileScanner {
 public:
  FileScanner(FileScan& result, std::uint64_t file_bytes)
      : result_(result), bytes_left_((1u << 20) + kPasses * file_bytes) {}

  void look(Bytes bytes, std::uint64_t offset, const std::string& place, int depth) {
    if (begins(bytes, "PK\x03\x04") || (depth == 0 && ends_like_zip(bytes)))
      zip(bytes, offset, place, depth);
    if (starts_like_tar(bytes)) tar(bytes, offset, place, depth);
    if (begins(bytes, "\x93NUMPY")) return numpy(bytes, offset, place);
    if (!begins(bytes, "PK\x03\x04")) pickles(bytes, offset, place);
  }

 private:
  // Pickles in a row. The first may be of protocol 0 or 1, which begin with any opcode:
  // it counts when it is whole, or names a global. Raw data follows in legacy files.
  void pickles(Bytes bytes, std::uint64_t offset, const std::string& place) {
    for (std::uint64_t at = 0; at < bytes.size();) {
      if (bytes_left_ == 0) {
        if (!std::exchange(gave_up_, true))
          problem(place, "pickles that overlap, more of them than are looked into");
        return;
      }
      pickle::PickleScan scan = pickle::scan(bytes.subspan(at), offset + at);
      bytes_left_ -= std::min(bytes_left_, scan.size_bytes);
      const bool declared = has_protocol(bytes.subspan(at));
      const bool counts = declared || (at == 0 && imports(scan));
      const std::uint64_t size = scan.size_bytes;
      const bool complete = scan.complete;
      // Numbers behind the pickles of a legacy file may look like a pickle that breaks at once.
      if (counts && (complete || !scan.globals.empty() || at == 0))
        result_.pickles.push_back({place, std::move(scan)});
      if (!complete || !counts || size == 0) return;
      at += size;
    }
  }

  // Tensor data may look like opcodes for a while. A pickle without a protocol in front
  // counts when it is whole and all its globals are spelled like one, or when it breaks
  // behind one that has a verdict of its own.
  static bool imports(const pickle::PickleScan& scan) {
    const auto spelled = [](const pickle::GlobalUse& use) {
      return std::ranges::all_of(use.name, [](char c) {
        return c == '.' || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
               (c >= 'A' && c <= 'Z');
      });
    };
    if (scan.complete && !scan.globals.empty() && std::ranges::all_of(scan.globals, spelled))
      return true;
    return std::ranges::any_of(scan.globals, [&](const pickle::GlobalUse& use) {
      return use.judgement.verdict != pickle::Verdict::kUnknown && spelled(use);
    });
  }

  void zip(Bytes bytes, std::uint64_t offset, const std::string& place, int depth) {
    if (depth >= kDeepestArchive)
      return problem(place, "archives inside archives, too deep to look into");
    try {
      const ZipDirectory directory = ZipDirectory::read(bytes);
      for (const ZipEntry& entry : directory.entries()) {
        member(bytes.subspan(entry.offset_bytes, entry.stored_bytes), entry.deflated,
               entry.size_bytes, offset + entry.offset_bytes, join(place, entry.name), depth);
      }
    } catch (const Error& error) {
      problem(place, error.what());
      local_headers(bytes, offset, place, depth);
    }
  }

  // The entries of an archive whose directory cannot be trusted, by their own headers:
  // other programs may still find a way to read them.
  void local_headers(Bytes bytes, std::uint64_t offset, const std::string& place, int depth) {
    const std::string_view all = as_text(bytes);
    for (std::size_t at = all.find("PK\x03\x04"); at != std::string_view::npos;
         at = all.find("PK\x03\x04", at + 4)) {
      if (!fits(at, kLocalHeader, bytes.size())) return;
      const std::byte* p = bytes.data() + at;
      const std::uint64_t head =
          kLocalHeader + load_little<std::uint16_t>(p + 26) + load_little<std::uint16_t>(p + 28);
      if (!fits(at, head, bytes.size())) continue;
      const auto method = load_little<std::uint16_t>(p + 8);
      const std::uint64_t stored = load_little<std::uint32_t>(p + 18);
      const std::string name =
          join(place, all.substr(at + kLocalHeader, load_little<std::uint16_t>(p + 26)));
      Bytes data = bytes.subspan(at + head);
      if (stored != 0 && stored <= data.size()) data = data.first(stored);
      if (method == 0 && has_protocol(data)) pickles(data, offset + at + head, name);
      if (method == 8)
        member(data, true, load_little<std::uint32_t>(p + 22), offset + at + head, name, depth);
    }
  }

  void member(Bytes data, bool deflated, std::uint64_t size, std::uint64_t offset,
              const std::string& place, int depth) {
    if (!deflated) return look(data, offset, place, depth + 1);
    if (size > kLargestInflated) return problem(place, "too large when inflated to look into");
    std::vector<std::byte> content(size);
    try {
      inflate(data, content);
    } catch (const Error& error) {
      return problem(place, error.what());
    }
    bytes_left_ += kPasses * size;
    look(content, 0, place, depth + 1);
  }

  void tar(Bytes bytes, std::uint64_t offset, const std::string& place, int depth) {
    if (depth >= kDeepestArchive)
      return problem(place, "archives inside archives, too deep to look into");
    std::uint64_t seen = 0;
    const auto take = [&](const TarMember& found) {
      const auto at = static_cast<std::uint64_t>(found.data.data() - bytes.data());
      look(found.data, offset + at, join(place, found.name), depth + 1);
      seen = at + found.data.size();
    };
    try {
      walk_tar(bytes, take);
      read_tar(bytes);  // what we would not read, Python may
    } catch (const Error& error) {
      problem(place, error.what());
      blocks(bytes, seen, offset, place);
    }
  }

  // Data of a tar archive begins at whole blocks, also where its headers are damaged or lie.
  void blocks(Bytes bytes, std::uint64_t from, std::uint64_t offset, const std::string& place) {
    constexpr std::uint64_t kBlock = 512;
    for (std::uint64_t at = align_up(from, kBlock); at < bytes.size(); at += kBlock) {
      if (has_protocol(bytes.subspan(at))) pickles(bytes.subspan(at), offset + at, place);
    }
  }

  // .npy files of objects hold a pickle behind their header.
  void numpy(Bytes bytes, std::uint64_t offset, const std::string& place) {
    if (bytes.size() < 12) return;
    const bool wide = bytes[6] != std::byte{1};
    const std::uint64_t header =
        wide ? 12 + std::uint64_t{load_little<std::uint32_t>(bytes.data() + 8)}
             : 10 + std::uint64_t{load_little<std::uint16_t>(bytes.data() + 8)};
    if (header < bytes.size() && has_protocol(bytes.subspan(header)))
      pickles(bytes.subspan(header), offset + header, place);
  }

  static std::string join(const std::string& place, std::string_view name) {
    return place.empty() ? printable(name) : place + ": " + printable(name);
  }
  void problem(const std::string& place, const std::string& text) {
    result_.problems.push_back(place.empty() ? text : place + ": " + text);
  }

  // In damaged archives, places that may begin a pickle may lie in one another, each of which
  // would be followed to the end.
  static constexpr std::uint64_t kPasses = 16;
  FileScan& result_;
  std::uint64_t bytes_left_;
  bool gave_up_ = false;
};

}  // namespace

pickle::Verdict FileScan::worst() const {
  pickle::Verdict worst = pickle::Verdict::kKnown;
  for (const ScannedPickle& found : pickles) {
    for (const pickle::GlobalUse& use : found.scan.globals)
      worst = std::max(worst, use.judgement.verdict);
  }
  return worst;
}

FileScan scan_file(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  FileScan result;
  FileScanner(result, file->bytes().size()).look(file->bytes(), 0, "", 0);
  return result;
}

}  // namespace reprise::container
