#include "repro/snapshot/restore.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/new_directory.h"
#include "repro/snapshot/entry_check.h"
#include "repro/snapshot/snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace reprise::snapshot {
namespace {

namespace fs = std::filesystem;
using fingerprint::GitMode;
using fingerprint::TreeEntry;

void write_file(const fs::path& path, const std::string& content, bool executable) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                executable ? 0755 : 0644);
  if (descriptor < 0) fail_errno(errno, printable(path.native()));
  File file(descriptor, path);
  file.write(0, as_bytes(content));
  // git knows a file as executable or not; a umask may have taken the owner's bit.
  if (fchmod(descriptor, executable ? 0755 : 0644) != 0) fail_errno(errno, path.native());
  file.close();
}

void require_new(const fs::path& target) {
  std::error_code error;
  if (fs::is_symlink(fs::symlink_status(target, error)) ||
      (fs::exists(target) && !(fs::is_directory(target) && fs::is_empty(target)))) {
    fail(Code::kUsage, "{}: exists and is not an empty directory; restore into a new one",
         target.native());
  }
}

void read_ids(const ZipReader& zip, std::vector<TreeEntry>& leaves) {
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    if (leaves[i].mode != GitMode::kCommit) {
      leaves[i].id = fingerprint::blob_id(as_bytes(zip.read(i)));
    }
  }
}

}  // namespace

std::string read_tree(const fs::path& zip) {
  const ZipReader reader = ZipReader::open(zip);
  std::vector<TreeEntry> leaves;
  try {
    leaves = check_entries(reader.entries(), RestoreOptions{}.limit_bytes);
  } catch (const Error& error) {
    throw error.at(zip.native());
  }
  read_ids(reader, leaves);
  return fingerprint::tree_id(std::move(leaves)).hex();
}

Restored restore(const fs::path& zip, const fs::path& target, const std::string& expected_tree,
                 const RestoreOptions& options) {
  require_new(target);
  const ZipReader reader = ZipReader::open(zip);
  std::vector<TreeEntry> leaves;
  try {
    leaves = check_entries(reader.entries(), options.limit_bytes);
  } catch (const Error& error) {
    throw error.at(zip.native());
  }
  std::vector<std::string> targets(leaves.size());
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    if (leaves[i].mode != GitMode::kLink) continue;
    targets[i] = reader.read(i);
    if (targets[i].empty() || targets[i].find('\0') != std::string::npos) {
      fail(Code::kCorrupt, "{}: {}: a link without a target", zip.native(),
           printable(leaves[i].path));
    }
    if (!options.allow_links_out && points_out(leaves[i].path, targets[i])) {
      fail(Code::kCorrupt,
           "{}: {}: a link out of the tree, to {}; when you trust the snapshot, restore with "
           "--allow-links-out",
           zip.native(), printable(leaves[i].path), printable(targets[i]));
    }
  }

  NewDirectory made(target);
  const fs::path& beside = made.path();
  Restored out;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const fs::path path = beside / leaves[i].path;
    if (leaves[i].mode == GitMode::kCommit) {
      fs::create_directories(path);
      continue;
    }
    fs::create_directories(path.parent_path());
    if (leaves[i].mode == GitMode::kLink) continue;
    const std::string content = reader.read(i);
    write_file(path, content, leaves[i].mode == GitMode::kExecutable);
    out.bytes += content.size();
    ++out.files;
  }
  // Links last: no file is ever written while one is there to write through.
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    if (leaves[i].mode != GitMode::kLink) continue;
    fs::create_symlink(targets[i], beside / leaves[i].path);
    ++out.files;
  }
  for (TreeEntry& leaf : leaves) {
    if (leaf.mode != GitMode::kCommit) {
      leaf.id = fingerprint::file_id(beside / leaf.path, leaf.mode);
    }
  }
  out.tree = fingerprint::tree_id(std::move(leaves)).hex();
  if (!expected_tree.empty() && out.tree != expected_tree) {
    fail(Code::kCorrupt, "{}: its tree is {}, the fingerprint says {}; one of the two was altered",
         zip.native(), out.tree, expected_tree);
  }
  made.publish();
  return out;
}

}  // namespace reprise::snapshot
