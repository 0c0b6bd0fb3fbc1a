#include "repro/snapshot/entry_check.h"

#include "ckpt/base/error.h"
#include "ckpt/base/sha256.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace reprise::snapshot {
namespace {

using fingerprint::GitMode;
using fingerprint::TreeEntry;

// Deflate cannot shrink anything further (1032:1); what claims so is made to fill disks.
constexpr std::uint64_t kRatioLimit = 1100;
constexpr std::uint64_t kLinkLimit = 4096;

bool is_git_directory(std::string_view part) {
  return part.size() == 4 && part[0] == '.' && (part[1] == 'g' || part[1] == 'G') &&
         (part[2] == 'i' || part[2] == 'I') && (part[3] == 't' || part[3] == 'T');
}

void check_name(std::string_view name) {
  const auto refuse = [&](std::string_view what) {
    fail(Code::kCorrupt, "{}: {}; not unpacked", printable(name), what);
  };
  if (name.empty()) refuse("an entry without a name");
  if (name.front() == '/') refuse("an absolute path");
  if (name.find('\0') != name.npos) refuse("a name with a NUL byte");
  for (std::string_view rest = name;;) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part == "..") refuse("a path that leaves the tree");
    if (part.empty() || part == ".") refuse("a path with an empty part");
    if (is_git_directory(part)) refuse("a path into git's own directory");
    if (slash == rest.npos) return;
    rest.remove_prefix(slash + 1);
  }
}

TreeEntry leaf_of(const ZipEntry& entry) {
  std::string name = entry.name;
  const bool directory = name.ends_with('/');
  if (directory) name.pop_back();
  check_name(name);
  TreeEntry leaf{std::move(name), GitMode::kFile, {}};
  if (directory) {
    const std::string_view comment = entry.comment;
    if (!comment.starts_with(kCommitComment) || comment.size() != kCommitComment.size() + 40 ||
        entry.size_bytes != 0) {
      fail(Code::kCorrupt, "{}: a directory that is no submodule; snapshots hold none",
           printable(entry.name));
    }
    const std::string id = from_hex(comment.substr(kCommitComment.size()));
    std::memcpy(leaf.id.bytes.data(), id.data(), leaf.id.bytes.size());
    leaf.mode = GitMode::kCommit;
    return leaf;
  }
  const std::uint32_t kind = entry.mode & S_IFMT;
  if (kind == S_IFLNK) {
    if (entry.size_bytes > kLinkLimit) {
      fail(Code::kCorrupt, "{}: a link with a target of {} bytes", printable(entry.name),
           entry.size_bytes);
    }
    leaf.mode = GitMode::kLink;
  } else if (kind == S_IFREG || kind == 0) {
    leaf.mode = (entry.mode & S_IXUSR) != 0 ? GitMode::kExecutable : GitMode::kFile;
  } else {
    fail(Code::kCorrupt, "{}: neither file nor link (mode {:o})", printable(entry.name),
         entry.mode);
  }
  return leaf;
}

}  // namespace

bool points_out(std::string_view path, std::string_view target) {
  if (target.starts_with('/')) return true;
  // Depth of the directory that holds the link; the target may climb as far and no further.
  std::int64_t depth = 0;
  for (const char c : path) depth += c == '/';
  while (!target.empty()) {
    const std::size_t slash = std::min(target.find('/'), target.size());
    const std::string_view part = target.substr(0, slash);
    target.remove_prefix(std::min(slash + 1, target.size()));
    if (part == "..") {
      if (--depth < 0) return true;
    } else if (!part.empty() && part != ".") {
      ++depth;
    }
  }
  return false;
}

std::vector<TreeEntry> check_entries(const std::vector<ZipEntry>& entries,
                                     std::uint64_t limit_bytes) {
  std::vector<TreeEntry> leaves;
  leaves.reserve(entries.size());
  std::uint64_t total = 0;
  for (const ZipEntry& entry : entries) {
    leaves.push_back(leaf_of(entry));
    const auto sum = checked_add(total, entry.size_bytes);
    const bool ratio = entry.size_bytes / kRatioLimit > entry.compressed_bytes;
    if (!sum || *sum > limit_bytes || ratio) {
      fail(Code::kCorrupt,
           "{}: {} bytes out of {} compressed, {} in all, over the limit of {}: a zip bomb, or no "
           "snapshot",
           printable(entry.name), entry.size_bytes, entry.compressed_bytes,
           sum.value_or(UINT64_MAX), limit_bytes);
    }
    total = *sum;
  }
  fingerprint::tree_id(leaves);  // refuses names that occur twice or contradict
  return leaves;
}

}  // namespace reprise::snapshot
