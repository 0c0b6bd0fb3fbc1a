#include "repro/fingerprint/git_tree.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>

namespace reprise::fingerprint {
namespace {

class Sha1 {
 public:
  Sha1() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    // Fetched once: looking an algorithm up by name costs more than hashing a small file.
    static const EVP_MD* const kSha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
    if (!context_ || EVP_DigestInit_ex(context_.get(), kSha1, nullptr) != 1) {
      fail(Code::kInternal, "SHA-1 is not available in this OpenSSL; git object names need it");
    }
  }
  void update(Bytes bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  GitId finish() {
    GitId id;
    EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(id.bytes.data()), nullptr);
    return id;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

GitId object_id(std::string_view type, Bytes content) {
  Sha1 sha1;
  const std::string header = fmt::format("{} {}", type, content.size());
  sha1.update(Bytes(as_bytes({header.c_str(), header.size() + 1})));
  sha1.update(content);
  return sha1.finish();
}

// The tree of entries[first, last), all of which share their first `prefix` bytes ("a/b/").
GitId subtree(const std::vector<TreeEntry>& entries, std::size_t first, std::size_t last,
              std::size_t prefix) {
  std::string content;
  const auto add = [&](std::uint32_t mode, std::string_view name, const GitId& id) {
    content += fmt::format("{:o} {}", mode, name);
    content += '\0';
    content += as_text(id.bytes);
  };
  while (first < last) {
    const std::string_view rest = std::string_view(entries[first].path).substr(prefix);
    const std::size_t slash = rest.find('/');
    if (slash == rest.npos) {
      add(static_cast<std::uint32_t>(entries[first].mode), rest, entries[first].id);
      ++first;
      continue;
    }
    const std::string_view head =
        std::string_view(entries[first].path).substr(0, prefix + slash + 1);
    std::size_t end = first;
    while (end < last && entries[end].path.starts_with(head)) ++end;
    add(040000, rest.substr(0, slash), subtree(entries, first, end, head.size()));
    first = end;
  }
  return object_id("tree", as_bytes(content));
}

}  // namespace

std::string GitId::hex() const { return to_hex(bytes); }

GitId blob_id(Bytes content) { return object_id("blob", content); }

GitId file_id(const std::filesystem::path& path, GitMode mode) {
  if (mode == GitMode::kLink) {
    const std::string target = std::filesystem::read_symlink(path).native();
    return blob_id(as_bytes(target));
  }
  const File file = File::open(path);
  const std::uint64_t size = file.size();
  Sha1 sha1;
  const std::string header = fmt::format("blob {}", size);
  sha1.update(as_bytes({header.c_str(), header.size() + 1}));
  static thread_local std::vector<std::byte> buffer(1u << 20);
  for (std::uint64_t offset = 0; offset < size;) {
    const std::uint64_t length = std::min<std::uint64_t>(buffer.size(), size - offset);
    file.read(offset, MutableBytes(buffer).first(length));
    sha1.update(Bytes(buffer).first(length));
    offset += length;
  }
  if (file.size() != size) {
    fail(Code::kIo, "{}: changed its size while it was read; capture again when it is at rest",
         printable(path.native()));
  }
  return sha1.finish();
}

GitId tree_id(std::vector<TreeEntry> entries) {
  std::sort(entries.begin(), entries.end(),
            [](const TreeEntry& a, const TreeEntry& b) { return a.path < b.path; });
  for (std::size_t i = 1; i < entries.size(); ++i) {
    if (entries[i].path == entries[i - 1].path) {
      fail(Code::kCorrupt, "{}: twice in one tree", printable(entries[i].path));
    }
  }
  // "a" and "a/b" need not be neighbours: "a.c" sorts between them.
  for (const TreeEntry& entry : entries) {
    for (std::size_t slash = entry.path.find('/'); slash != std::string::npos;
         slash = entry.path.find('/', slash + 1)) {
      const std::string_view parent = std::string_view(entry.path).substr(0, slash);
      const auto at = std::lower_bound(
          entries.begin(), entries.end(), parent,
          [](const TreeEntry& a, std::string_view b) { return std::string_view(a.path) < b; });
      if (at != entries.end() && at->path == parent) {
        fail(Code::kCorrupt, "{}: a file and a directory in one tree", printable(parent));
      }
    }
  }
  return subtree(entries, 0, entries.size(), 0);
}

}  // namespace reprise::fingerprint
