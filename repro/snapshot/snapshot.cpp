#include "repro/snapshot/snapshot.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/progress.h"
#include "repro/fingerprint/glob.h"
#include "repro/fingerprint/secret_scan.h"
#include "repro/snapshot/entry_check.h"
#include "repro/snapshot/zip_archive.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace reprise::snapshot {
namespace {

namespace fs = std::filesystem;
using fingerprint::GitMode;
using fingerprint::TreeEntry;

constexpr std::size_t kFilesPerTask = 32;
constexpr std::size_t kNamed = 5;  // files that an error names

bool matches_any(const std::vector<std::string>& patterns, const std::string& text) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return fingerprint::matches_glob(pattern, text);
  });
}

struct Content {
  const TreeEntry* entry;
  std::uint64_t size = 0;
  std::string bytes;
  fingerprint::GitId id;
  std::vector<Finding> findings;
};

void require_budget(std::vector<Content>& contents, const Options& options) {
  std::uint64_t total = 0;
  bool over = false;
  for (const Content& content : contents) {
    total += content.size;
    over |= content.size > options.file_limit_bytes;
  }
  if (!over && total <= options.budget_bytes) return;
  std::vector<const Content*> largest;
  for (const Content& content : contents) largest.push_back(&content);
  std::sort(largest.begin(), largest.end(),
            [](const Content* a, const Content* b) { return a->size > b->size; });
  std::string names;
  for (std::size_t i = 0; i < std::min(kNamed, largest.size()); ++i) {
    // Leaving out a file of a few bytes helps nobody.
    if (i > 0 && largest[i]->size <= options.file_limit_bytes && largest[i]->size < total / 100)
      break;
    names += fmt::format("{}{} ({})", i == 0 ? "" : ", ", printable(largest[i]->entry->path),
                         format_bytes(largest[i]->size));
  }
  fail(Code::kNo,
       "the snapshot would hold {} in {} files; the budget is {}, and {} for one file; the largest "
       "are {}; ignore them in .gitignore, leave them out with --exclude PATH, or raise --budget "
       "and --file-limit",
       format_bytes(total), contents.size(), format_bytes(options.budget_bytes),
       format_bytes(options.file_limit_bytes), names);
}

std::string read_entry(const fs::path& path, GitMode mode) {
  if (mode == GitMode::kLink) return fs::read_symlink(path).native();
  return read_text(path, std::uint64_t{4} << 30);
}

void load(Content& content, const fingerprint::CodeState& code, const Options& options) {
  const TreeEntry& entry = *content.entry;
  content.bytes = read_entry(code.root / entry.path, entry.mode);
  const auto secrets = fingerprint::find_secrets(content.bytes);
  std::vector<fingerprint::Secret> removed;
  for (const fingerprint::Secret& secret : secrets) {
    if (matches_any(options.allow, entry.path) ||
        matches_any(options.allow, fmt::format("{}:{}", entry.path, secret.line))) {
      continue;
    }
    removed.push_back(secret);
    content.findings.push_back({entry.path, secret.line, secret.kind});
  }
  if (!removed.empty() && options.redact) {
    content.bytes = fingerprint::redact(content.bytes, removed);
  }
  content.id = fingerprint::blob_id(as_bytes(content.bytes));
}

void require_no_secrets(const std::vector<Content>& contents) {
  std::string names;
  std::size_t count = 0;
  for (const Content& content : contents) {
    for (const Finding& finding : content.findings) {
      if (count++ < kNamed) {
        names += fmt::format("{}{}:{} ({})", names.empty() ? "" : ", ", printable(finding.path),
                             finding.line, finding.kind);
      }
    }
  }
  if (count == 0) return;
  if (count > kNamed) names += fmt::format(" and {} more", count - kNamed);
  fail(Code::kNo,
       "what looks like a secret would go into the snapshot: {}; ignore the file in .gitignore, "
       "replace the values with --redact, or, when it is none, say --allow PATH:LINE",
       names);
}

}  // namespace

Snapshot write(const fingerprint::CodeState& code, const fs::path& target, const Options& options) {
  Snapshot out;
  std::vector<Content> contents;
  std::vector<TreeEntry> leaves;
  std::vector<ZipItem> items;
  for (const TreeEntry& entry : code.entries) {
    if (matches_any(options.exclude, entry.path)) {
      out.excluded.push_back(entry.path);
      continue;
    }
    if (entry.mode == GitMode::kCommit) {
      leaves.push_back(entry);
      items.push_back({entry.path + "/", {}, S_IFDIR | 0755, kCommitComment + entry.id.hex()});
      continue;
    }
    struct stat status {};
    if (lstat((code.root / entry.path).c_str(), &status) != 0) {
      // Left out of a sparse checkout: not part of what ran.
      if (errno == ENOENT) {
        out.excluded.push_back(entry.path);
        continue;
      }
      fail_errno(errno, printable(entry.path));
    }
    contents.push_back({&entry, static_cast<std::uint64_t>(status.st_size), {}, {}, {}});
  }
  require_budget(contents, options);
  parallel_for((contents.size() + kFilesPerTask - 1) / kFilesPerTask, options.jobs,
               [&](std::size_t task) {
                 const std::size_t end = std::min(contents.size(), (task + 1) * kFilesPerTask);
                 for (std::size_t i = task * kFilesPerTask; i < end; ++i) {
                   load(contents[i], code, options);
                 }
               });
  if (!options.redact) require_no_secrets(contents);

  for (const Content& content : contents) {
    const TreeEntry& entry = *content.entry;
    const std::uint32_t mode = entry.mode == GitMode::kLink         ? S_IFLNK | 0777
                               : entry.mode == GitMode::kExecutable ? S_IFREG | 0755
                                                                    : S_IFREG | 0644;
    items.push_back({entry.path, as_bytes(content.bytes), mode, {}});
    leaves.push_back({entry.path, entry.mode, content.id});
    out.redacted.insert(out.redacted.end(), content.findings.begin(), content.findings.end());
    out.bytes += content.bytes.size();
    ++out.files;
    if (entry.mode == GitMode::kLink && points_out(entry.path, content.bytes)) {
      out.links_out.push_back(entry.path);
    }
  }
  std::sort(items.begin(), items.end(),
            [](const ZipItem& a, const ZipItem& b) { return a.name < b.name; });
  out.tree = fingerprint::tree_id(std::move(leaves)).hex();
  const std::string zip = write_zip(items);
  out.sha256 = sha256(zip);
  write_text(target, zip);
  return out;
}

}  // namespace reprise::snapshot
