// A run on disk: its layout, its state, its checkpoints.
//
//   runs/<name>/<YYYYMMDD-HHMMSS>/
//     run.json          identity and state of the run (see RunInfo)
//     config.toml  fingerprint.json  snapshot.zip
//     train.log  train.tsv  valid.tsv  ledger.jsonl
//     checkpoints/  plots/  tensorboard/
//     .lock             locked by the process that writes
#pragma once

#include "ckpt/base/file.h"
#include "ckpt/base/uuid.h"
#include "ckpt/store/checkpoint_list.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::store {

enum class RunState : std::uint8_t {
  kUnknown,      // a folder with checkpoints, but not made by us
  kRunning,      // a living process holds the lock
  kFinished,     // ended by itself
  kStopped,      // ended by a signal, after saving
  kInterrupted,  // died: its process is gone, and it never said goodbye
  kFailed,       // ended by an error that it reported
};
std::string_view to_string(RunState state);

// What run.json holds.
struct RunInfo {
  Uuid run;
  RunState state = RunState::kUnknown;
  std::string host;
  std::int64_t pid = 0;
  std::string started;  // ISO 8601, UTC; of the first start
  std::string updated;  // of the last change of state
  std::string reason;   // of kFailed: the error, one line that is fit to print
};

// Held by the process that trains in a run directory: one at a time. Destroyed
// without finish(), the run counts as interrupted, as after a crash.
class RunLock {
 public:
  ~RunLock();
  RunLock(RunLock&&) noexcept;
  RunLock& operator=(RunLock&&) noexcept;

  // Records how the run ended (kFinished, kStopped, or kFailed with the reason), durably, and lets
  // go. Errors: kIo.
  void finish(RunState state, std::string_view reason = {});

 private:
  friend class RunDirectory;
  struct State;
  explicit RunLock(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A value: a path that is known to be a run directory. Reading is safe from any thread.
class RunDirectory {
 public:
  // Makes `path` and its sub-folders durably, with a new run UUID.
  // Errors: kUsage when `path` exists and is not an empty folder, saying how to
  // resume or choose another; kIo.
  static RunDirectory create(const std::filesystem::path& path);
  // `root`/`name`/<local time>, which is made as create() does; a second run in
  // the same second gets the suffix "-2".
  static RunDirectory create_dated(const std::filesystem::path& root, std::string_view name);
  // Also opens a folder that merely holds checkpoints by our names (itself or in checkpoints/).
  // Errors: kNotFound; kMismatch when nothing in it looks like a run.
  static RunDirectory open(const std::filesystem::path& path);
  // The same for those who remove files: run.json has to be there and ours, or our checkpoints
  // in checkpoints/, where runs have them; a folder of loose checkpoints is somebody's
  // collection. Changes nothing. Errors: those of open(); kCorrupt for another run.json.
  static RunDirectory open_to_remove(const std::filesystem::path& path);
  // Whether open() would accept `path`; cheap.
  static bool is_run(const std::filesystem::path& path);
  // All runs at `root` or up to `depth` levels below it, sorted by path. Folders
  // that cannot be read are left out.
  static std::vector<RunDirectory> find_all(const std::filesystem::path& root, int depth = 3);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoints() const;
  std::filesystem::path file(std::string_view name) const { return path_ / name; }

  // run.json together with the lock. A run of which run.json is missing is kUnknown.
  // Errors: kIo; kCorrupt when run.json is no such file.
  RunInfo info() const;

  // Becomes the one writer: marks the run as running and removes temporary files of
  // dead writers. Errors: kMismatch naming host and process when another one writes; kIo.
  RunLock lock() const;
  // Keeps other writers away while files are tidied up, and changes nothing of what the run says
  // of itself. Errors: those of lock().
  RunLock hold() const;

  // See checkpoint_list.h.
  std::vector<CheckpointEntry> list() const;

  // Bytes of all files below, links not followed.
  std::uint64_t size_bytes() const;

 private:
  explicit RunDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace reprise::store
