// A directory that becomes visible all at once.
#pragma once

#include <filesystem>

namespace reprise {

// What is put into path() lies beside the directory it will be, under a hidden name of its own,
// until publish() renames it. Destroyed without publish(), it is removed with everything in it, and
// the disk is as it was before, but for missing parents, which are made. Not shared between
// threads.
class NewDirectory {
 public:
  // `target` may end in a slash. Errors: kIo, also when a parent cannot be made.
  explicit NewDirectory(const std::filesystem::path& target);
  ~NewDirectory();
  NewDirectory(const NewDirectory&) = delete;
  NewDirectory& operator=(const NewDirectory&) = delete;

  // Where the content goes.
  const std::filesystem::path& path() const { return path_; }
  // Renames it to the target, durably. Replaces nothing but an empty directory.
  // Errors: kIo, also when something else has appeared there; the content is removed then.
  void publish();

 private:
  std::filesystem::path target_;
  std::filesystem::path path_;  // empty once it was published
};

}  // namespace reprise
