#include "repro/fingerprint/code_patch.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "repro/fingerprint/secret_scan.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>

namespace reprise::fingerprint {
namespace {

// A path as git writes it in a header: quoted C style where it holds control characters, quotes
// or bytes beyond ASCII (quote.c, quote_c_style).
std::string quoted(std::string_view prefix, std::string_view path) {
  std::string out;
  bool needed = false;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n' || c == '\t') {
      out += c == '\n' ? "\\n" : "\\t";
    } else if (byte < 0x20 || byte >= 0x7F) {
      out += fmt::format("\\{:03o}", byte);
    } else {
      out += c;
      continue;
    }
    needed = true;
  }
  return needed ? fmt::format("\"{}{}\"", prefix, out) : fmt::format("{}{}", prefix, path);
}

class Writer {
 public:
  Writer(const GitRepository& repository, const CodeOptions& options)
      : repository_(repository), options_(options) {}

  void add(const TreeEntry* before, const TreeEntry* after) {
    // A file that became a link, or the other way, is a removal and an addition.
    constexpr auto is_file = [](GitMode mode) {
      return mode == GitMode::kFile || mode == GitMode::kExecutable;
    };
    if (before != nullptr && after != nullptr && before->mode != after->mode &&
        !(is_file(before->mode) && is_file(after->mode))) {
      add(before, nullptr);
      add(nullptr, after);
      return;
    }
    const std::string& path = after != nullptr ? after->path : before->path;
    try {
      const std::string text = describe(path, before, after);
      const std::vector<Secret> secrets = find_secrets(text);
      if (!secrets.empty()) {
        omit(path, fmt::format("it holds {}", secrets.front().kind));
      } else if (patch_.text.size() + text.size() > options_.patch_limit_bytes) {
        omit(path, fmt::format("the patch has reached its limit of {} bytes",
                               options_.patch_limit_bytes));
      } else {
        patch_.text += text;
      }
    } catch (const Error& error) {
      omit(path, error.what());
    }
  }

  CodePatch finish() { return std::move(patch_); }

 private:
  void omit(const std::string& path, std::string reason) {
    patch_.omitted.push_back({path, std::move(reason)});
  }

  std::string describe(const std::string& path, const TreeEntry* before, const TreeEntry* after) {
    const std::string a = quoted("a/", path);
    const std::string b = quoted("b/", path);
    std::string out = fmt::format("diff --git {} {}\n", a, b);
    const auto mode = [](const TreeEntry* entry) { return static_cast<unsigned>(entry->mode); };
    const bool same_mode = before != nullptr && after != nullptr && before->mode == after->mode;
    if (before == nullptr) {
      out += fmt::format("new file mode {:o}\n", mode(after));
    } else if (after == nullptr) {
      out += fmt::format("deleted file mode {:o}\n", mode(before));
    } else if (!same_mode) {
      out += fmt::format("old mode {:o}\nnew mode {:o}\n", mode(before), mode(after));
    }
    if (before != nullptr && after != nullptr && before->id == after->id) return out;
    out += fmt::format("index {}..{}", before != nullptr ? before->id.hex() : GitId{}.hex(),
                       after != nullptr ? after->id.hex() : GitId{}.hex());
    out += same_mode ? fmt::format(" {:o}\n", mode(before)) : "\n";
    const std::string body = GitRepository::patch_body(before != nullptr ? old_bytes(*before) : "",
                                                       after != nullptr ? new_bytes(*after) : "");
    if (body.starts_with("@@")) {
      out += fmt::format("--- {}\n+++ {}\n", before != nullptr ? a : "/dev/null",
                         after != nullptr ? b : "/dev/null");
    }
    return out + body;
  }

  std::string old_bytes(const TreeEntry& entry) const {
    if (entry.mode == GitMode::kCommit) return subproject(entry);
    return repository_.blob(entry.id);
  }

  std::string new_bytes(const TreeEntry& entry) const {
    if (entry.mode == GitMode::kCommit) return subproject(entry);
    const std::filesystem::path path = repository_.root() / entry.path;
    if (entry.mode == GitMode::kLink) return std::filesystem::read_symlink(path).native();
    struct stat status {};
    if (lstat(path.c_str(), &status) == 0 &&
        static_cast<std::uint64_t>(status.st_size) > options_.patch_file_limit_bytes) {
      fail(Code::kNo, "{} bytes, over the limit of {} for one file of the patch", status.st_size,
           options_.patch_file_limit_bytes);
    }
    if (auto filtered = repository_.filtered(entry.path)) return *std::move(filtered);
    std::string text = read_text(path, options_.patch_file_limit_bytes);
    if (blob_id(as_bytes(text)) != entry.id) fail(Code::kIo, "it changed while it was captured");
    return text;
  }

  static std::string subproject(const TreeEntry& entry) {
    return fmt::format("Subproject commit {}\n", entry.id.hex());
  }

  const GitRepository& repository_;
  const CodeOptions& options_;
  CodePatch patch_;
};

}  // namespace

CodePatch write_patch(const GitRepository& repository, const std::vector<TreeEntry>& before,
                      const std::vector<TreeEntry>& after, const CodeOptions& options) {
  Writer writer(repository, options);
  // What goes, goes first: a file in place of a directory can be made only when that is empty.
  std::map<std::string_view, const TreeEntry*> old_entries;
  for (const TreeEntry& entry : before) old_entries.emplace(entry.path, &entry);
  std::map<std::string_view, const TreeEntry*> new_entries;
  for (const TreeEntry& entry : after) new_entries.emplace(entry.path, &entry);
  for (const TreeEntry& entry : before) {
    if (!new_entries.contains(entry.path)) writer.add(&entry, nullptr);
  }
  for (const TreeEntry& entry : after) {
    const auto old = old_entries.find(entry.path);
    if (old == old_entries.end()) {
      writer.add(nullptr, &entry);
    } else if (old->second->id != entry.id || old->second->mode != entry.mode) {
      writer.add(old->second, &entry);
    }
  }
  return writer.finish();
}

}  // namespace reprise::fingerprint
