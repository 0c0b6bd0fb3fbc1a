#include "ckpt/store/run_directory.h"

#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/store/checkpoint_name.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

namespace reprise::store {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kInfoName = "run.json";
constexpr std::string_view kLockName = ".lock";
constexpr std::string_view kCheckpointsName = "checkpoints";

// DO NOT CHANGE: these names are in files.
constexpr std::array<std::pair<RunState, std::string_view>, 6> kStates = {{
    {RunState::kUnknown, "unknown"},
    {RunState::kRunning, "running"},
    {RunState::kFinished, "finished"},
    {RunState::kStopped, "stopped"},
    {RunState::kInterrupted, "interrupted"},
    {RunState::kFailed, "failed"},
}};

// Bytes of the text of an error that a run keeps.
constexpr std::size_t kReasonLimit = 1000;

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string local_stamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", &parts);
  return text;
}

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

void write_info(const fs::path& run, const RunInfo& info) {
  Json json = {{"run", info.run.text()},  {"state", to_string(info.state)},
               {"host", info.host},       {"pid", info.pid},
               {"started", info.started}, {"updated", info.updated}};
  if (!info.reason.empty()) json["reason"] = info.reason;
  write_text(run / kInfoName, dump_json(json, 2) + "\n");
}

RunInfo read_info(const fs::path& run) {
  RunInfo info;
  const fs::path path = run / kInfoName;
  std::error_code failure;
  if (!fs::exists(path, failure)) return info;
  try {
    const Json json = parse_json(read_text(path, 1 << 20));
    const auto uuid = Uuid::parse(require_string(json, "run", kInfoName));
    if (!uuid) fail(Code::kCorrupt, "'run' is no UUID");
    info.run = *uuid;
    const std::string state = require_string(json, "state", kInfoName);
    const auto known = std::ranges::find(kStates, state, [](const auto& s) { return s.second; });
    if (known == kStates.end()) fail(Code::kCorrupt, "state '{}' is unknown", printable(state, 40));
    info.state = known->first;
    info.host = require_string(json, "host", kInfoName);
    info.pid = json.value("pid", std::int64_t{0});
    info.started = require_string(json, "started", kInfoName);
    info.updated = require_string(json, "updated", kInfoName);
    if (json.contains("reason")) {
      info.reason = printable(require_string(json, "reason", kInfoName), kReasonLimit);
    }
  } catch (const Error& error) {
    throw error.at(path.native());
  } catch (const Json::exception&) {
    fail(Code::kCorrupt, "{}: 'pid' is no number", path.native());
  }
  return info;
}

// The lock file, which is never removed: two writers must meet at one inode.
File open_lock(const fs::path& run) {
  const fs::path path = run / kLockName;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd == -1) fail_errno(errno, path.native());
  return {fd, path};
}

bool lock_is_held(const fs::path& run) {
  const int fd = ::open((run / kLockName).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd == -1) return false;
  const File file(fd, run / kLockName);
  if (flock(fd, LOCK_SH | LOCK_NB) == 0) return false;
  return errno == EWOULDBLOCK;
}

// By name: loose files of other makers do not make a folder a run.
bool holds_our_checkpoints(const fs::path& folder) {
  std::error_code failure;
  for (fs::directory_iterator it(folder, failure), end; !failure && it != end;
       it.increment(failure)) {
    if (parse_checkpoint_name(it->path().filename().native())) return true;
  }
  return false;
}

bool is_made_by_us(const fs::path& path) {
  std::error_code failure;
  return fs::is_regular_file(path / kInfoName, failure) &&
         fs::is_directory(path / kCheckpointsName, failure);
}

void find_below(const fs::path& folder, int depth, std::vector<fs::path>& found) {
  if (is_made_by_us(folder)) {
    found.push_back(folder);
    return;  // runs are not nested
  }
  std::error_code failure;
  if (holds_our_checkpoints(folder / kCheckpointsName)) {
    found.push_back(folder);
    return;
  }
  if (depth > 0) {
    for (fs::directory_iterator it(folder, failure), end; !failure && it != end;
         it.increment(failure)) {
      // Links are not followed: they could lead anywhere, or in a circle.
      if (it->is_symlink(failure) || !it->is_directory(failure)) continue;
      find_below(it->path(), depth - 1, found);
    }
  }
}

}  // namespace

std::string_view to_string(RunState state) {
  return kStates[static_cast<std::size_t>(state)].second;
}

struct RunLock::State {
  fs::path run;
  File file;
  RunInfo info;
};

RunLock::RunLock(std::unique_ptr<State> state) : state_(std::move(state)) {}
RunLock::RunLock(RunLock&&) noexcept = default;
RunLock& RunLock::operator=(RunLock&&) noexcept = default;
RunLock::~RunLock() = default;

void RunLock::finish(RunState state, std::string_view reason) {
  if (!state_) return;
  state_->info.state = state;
  state_->info.reason = printable(reason.substr(0, reason.find('\n')), kReasonLimit);
  state_->info.updated = now_utc();
  write_info(state_->run, state_->info);
  state_.reset();
}

RunDirectory RunDirectory::create(const fs::path& path) {
  std::error_code failure;
  const bool exists = fs::exists(fs::symlink_status(path, failure));
  if (exists && !(fs::is_directory(path, failure) && fs::is_empty(path, failure))) {
    fail(Code::kUsage,
         "{}: exists and is not empty, and a run is never overwritten; choose another directory, "
         "or go on with --resume-from {}",
         path.native(), path.native());
  }
  make_directories(path);
  // Made last, so that of two processes that start here at once only one goes on.
  if (::mkdir((path / kCheckpointsName).c_str(), 0755) == -1) {
    if (errno == EEXIST)
      fail(Code::kUsage, "{}: another run has just begun there; choose another directory",
           path.native());
    fail_errno(errno, (path / kCheckpointsName).native());
  }
  make_directories(path / "plots");
  make_directories(path / "tensorboard");
  RunInfo info;
  info.run = Uuid::random();
  info.state = RunState::kStopped;
  info.host = host_name();
  info.started = info.updated = now_utc();
  write_info(path, info);
  return RunDirectory(path);
}

RunDirectory RunDirectory::create_dated(const fs::path& root, std::string_view name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string_view::npos) {
    fail(Code::kUsage, "'{}' is no name for a run; use --work-dir for a path", printable(name));
  }
  const fs::path parent = root / name;
  make_directories(parent);
  const std::string stamp = local_stamp();
  for (int i = 1; i < 1000; ++i) {
    const fs::path path = parent / (i == 1 ? stamp : fmt::format("{}-{}", stamp, i));
    // mkdir decides who gets the name when several runs start in one second.
    if (::mkdir(path.c_str(), 0755) == 0) {
      sync_directory(parent);
      return create(path);
    }
    if (errno != EEXIST) fail_errno(errno, path.native());
  }
  fail(Code::kIo, "{}: a thousand runs of this second are there already",
       (parent / stamp).native());
}

RunDirectory RunDirectory::open(const fs::path& path) {
  std::error_code failure;
  if (!fs::exists(path, failure)) {
    fail(Code::kNotFound, "{}: no such run directory; `ckpt runs ROOT` lists what there is",
         path.native());
  }
  if (!is_run(path)) {
    fail(Code::kMismatch,
         "{}: is no run: it holds neither run.json nor checkpoint_*.h5; `ckpt runs ROOT` lists "
         "what there is",
         path.native());
  }
  return RunDirectory(path);
}

bool RunDirectory::is_run(const fs::path& path) {
  return is_made_by_us(path) || holds_our_checkpoints(path / kCheckpointsName) ||
         holds_our_checkpoints(path);
}

RunDirectory RunDirectory::open_to_remove(const fs::path& path) {
  RunDirectory run = open(path);
  if (!is_made_by_us(path) && !holds_our_checkpoints(path / kCheckpointsName)) {
    fail(Code::kMismatch,
         "{}: is no run: it holds checkpoints, but neither run.json nor checkpoints/, and nothing "
         "is removed from such a folder",
         path.native());
  }
  static_cast<void>(read_info(path));  // somebody else's run.json says nothing of checkpoints/
  return run;
}

std::vector<RunDirectory> RunDirectory::find_all(const fs::path& root, int depth) {
  std::vector<fs::path> found;
  find_below(root, depth, found);
  if (found.empty() && holds_our_checkpoints(root)) found.push_back(root);
  std::ranges::sort(found);
  std::vector<RunDirectory> runs;
  for (fs::path& path : found) runs.push_back(RunDirectory(std::move(path)));
  return runs;
}

fs::path RunDirectory::checkpoints() const {
  std::error_code failure;
  const fs::path folder = path_ / kCheckpointsName;
  return fs::is_directory(folder, failure) ? folder : path_;
}

RunInfo RunDirectory::info() const {
  RunInfo info = read_info(path_);
  if (lock_is_held(path_)) {
    info.state = RunState::kRunning;
  } else if (info.state == RunState::kRunning) {
    info.state = RunState::kInterrupted;
  }
  return info;
}

RunLock RunDirectory::hold() const {
  auto state = std::make_unique<RunLock::State>(RunLock::State{path_, open_lock(path_), {}});
  if (flock(state->file.descriptor(), LOCK_EX | LOCK_NB) == -1) {
    if (errno != EWOULDBLOCK) fail_errno(errno, state->file.path().native());
    const RunInfo other = read_info(path_);
    if (other.state != RunState::kRunning)
      fail(Code::kMismatch, "{}: another process is cleaning up here; wait for it", path_.native());
    fail(Code::kMismatch, "{}: process {} on {} is writing here; wait for it, or stop it",
         path_.native(), other.pid, printable(other.host, 80));
  }
  state->info = read_info(path_);
  return RunLock(std::move(state));
}

RunLock RunDirectory::lock() const {
  RunLock held = hold();
  RunInfo& info = held.state_->info;
  if (info.run.is_nil()) {
    info.run = Uuid::random();
    info.started = now_utc();
  }
  info.state = RunState::kRunning;
  info.reason.clear();
  info.host = host_name();
  info.pid = getpid();
  info.updated = now_utc();
  write_info(path_, info);
  remove_abandoned(path_);
  remove_abandoned(checkpoints());
  return held;
}

std::vector<CheckpointEntry> RunDirectory::list() const { return list_checkpoints(checkpoints()); }

std::uint64_t RunDirectory::size_bytes() const {
  std::uint64_t total = 0;
  std::error_code failure;
  for (fs::recursive_directory_iterator it(path_, failure), end; !failure && it != end;
       it.increment(failure)) {
    std::error_code ignored;
    if (it->is_symlink(ignored) || !it->is_regular_file(ignored)) continue;
    const std::uint64_t size = it->file_size(ignored);
    if (!ignored) total += size;
  }
  return total;
}

}  // namespace reprise::store
