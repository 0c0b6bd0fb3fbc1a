#include "repro/audit/replay.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/store/load.h"
#include "repro/audit/line_stream.h"
#include "repro/ledger/reader.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <vector>

namespace reprise::audit {
namespace fs = std::filesystem;

namespace {

using namespace std::chrono_literals;

// The training process. Destroyed while it runs, it is told to stop and waited for.
class Trainer {
 public:
  Trainer(const std::vector<std::string>& command, const fs::path& log) : log_(log) {
    std::vector<char*> argv;
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    const int problem = posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (problem != 0) fail_errno(problem, command.front());
  }
  ~Trainer() {
    if (running_) {
      ::kill(pid_, SIGKILL);  // what it wrote goes with the scratch directory
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // False once it has ended.
  bool running() {
    int status = 0;
    if (running_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
      running_ = false;
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return running_;
  }
  int exit_code() const { return exit_code_; }
  // What its end says about the checkpoint or the data that it was given.
  Code verdict() const {
    const auto code = static_cast<Code>(exit_code_);
    const bool of_files = code == Code::kNotFound || code == Code::kCorrupt ||
                          code == Code::kUnsupported || code == Code::kMismatch;
    return of_files ? code : Code::kIo;
  }
  std::string last_words() const {
    const std::string text = fs::exists(log_) ? read_text(log_) : "";
    const auto end = text.find_last_not_of('\n');
    const auto begin = end == std::string::npos ? std::string::npos : text.rfind('\n', end);
    return printable(text.substr(begin == std::string::npos ? 0 : begin + 1), 500);
  }

 private:
  fs::path log_;
  pid_t pid_ = 0;
  bool running_ = true;
  int exit_code_ = 0;
};

// Update lines of a ledger behind `update`, in order; survives a file that grows.
class UpdatesBehind {
 public:
  UpdatesBehind(fs::path path, std::uint64_t update) : path_(std::move(path)), update_(update) {}

  // The next line's text, or nothing so far.
  std::optional<std::string> next() {
    if (!fs::exists(path_)) return std::nullopt;
    LineStream stream(path_, offset_);
    while (const auto line = stream.next()) {
      offset_ = stream.next_offset_bytes();
      if (!line->is_tensors && line->update > update_) {
        update_ = line->update;
        return std::string(line->text);
      }
    }
    return std::nullopt;
  }

 private:
  fs::path path_;
  std::uint64_t offset_ = 0;
  std::uint64_t update_;
};

// Reads the whole original, chain checked, up to the end of the stretch: what a
// replay is compared with has to be whole itself.
std::vector<std::string> stretch_of(const fs::path& ledger, const LedgerPosition& from,
                                    std::optional<std::uint64_t> updates) {
  ledger::Reader reader = ledger::Reader::open(ledger);
  std::vector<std::string> lines;
  bool at_start = from.update == 0 && reader.chain() == from.chain;
  while (const auto line = reader.next()) {
    if (line->update && line->update->update > from.update) {
      if (!at_start) break;
      lines.push_back(reader.text());
      if (updates && lines.size() == *updates) return lines;
    }
    at_start = at_start || reader.chain() == from.chain;
  }
  if (!at_start) {
    fail(Code::kMismatch,
         "{}: update {} with the chain that the checkpoint holds is not in this ledger",
         ledger.native(), from.update);
  }
  if (lines.empty())
    fail(Code::kMismatch, "{}: nothing lies behind update {}", ledger.native(), from.update);
  if (updates && lines.size() < *updates) {
    fail(Code::kUsage, "{}: only {} updates lie behind update {}", ledger.native(), lines.size(),
         from.update);
  }
  return lines;
}

std::string content_of(std::string_view line) {
  return std::string(line.substr(0, line.rfind(",\"prev\":")));
}

Divergence divergence_of(const std::string& original, const std::string& again) {
  Divergence found;
  found.a = ledger::parse_line(original).update.value();
  found.b = ledger::parse_line(again).update.value();
  found.what = first_difference(found.a, found.b);
  found.random_differs = found.a.rng != found.b.rng;
  return found;
}

// Trains on from the checkpoint and leaves out all that does not change bits: checkpoints of a
// large model would fill the disk, and evaluations take their time. Options of the run that cannot
// stand beside --no-validate go with it.
std::vector<std::string> command_of(const ReplayOptions& options) {
  return {options.train.native(),
          "--resume-from",
          fs::absolute(options.checkpoint).native(),
          "--work-dir",
          options.scratch.native(),
          "--no-validate",
          "--no-save-best-only",
          "--patience=0",
          "--tolerance=0",
          "--save-begin=1000000000",
          "--save-end=0",
          "--save-every-updates=0",
          "--max-hours=0",
          "--no-requeue",
          "--no-tensorboard"};
}

}  // namespace

ReplayResult replay(const ReplayOptions& options) {
  const Checkpoint checkpoint = store::load(options.checkpoint.native());
  if (!checkpoint.ledger)
    fail(Code::kMismatch,
         "{}: was saved without a ledger; replay from a later checkpoint, or compare two runs",
         options.checkpoint.native());
  const std::vector<std::string> expected =
      stretch_of(options.run / "ledger.jsonl", *checkpoint.ledger, options.updates);

  ReplayResult result;
  result.first_update = checkpoint.ledger->update + 1;
  result.last_update = checkpoint.ledger->update + expected.size();
  const fs::path log = options.scratch.string() + ".log";
  Trainer trainer(command_of(options), log);
  UpdatesBehind again(options.scratch / "ledger.jsonl", checkpoint.ledger->update);
  while (result.compared < expected.size()) {
    if (options.on_wait) options.on_wait();
    const bool was_running = trainer.running();
    const auto line = again.next();
    if (!line) {
      if (!was_running) {
        fail(trainer.verdict(), "{} ended after {} of {} updates with exit code {}: {}",
             options.train.native(), result.compared, expected.size(), trainer.exit_code(),
             trainer.last_words());
      }
      std::this_thread::sleep_for(20ms);
      continue;
    }
    if (content_of(*line) != content_of(expected[result.compared])) {
      result.divergence = divergence_of(expected[result.compared], *line);
      return result;
    }
    ++result.compared;
    if (options.on_update) options.on_update(1);
  }
  result.same = true;
  return result;
}

Json replay_statement(const ReplayOptions& options, const ReplayResult& result) {
  const auto subject = [](const fs::path& file) -> Json {
    return {{"name", file.filename().native()}, {"digest", {{"sha256", sha256_file(file).hex()}}}};
  };
  const std::string test = fmt::format("updates {} to {}", result.first_update, result.last_update);
  Json predicate = {{"result", result.same ? "PASSED" : "FAILED"},
                    {"configuration", Json::array({subject(options.checkpoint)})},
                    {"passedTests", result.same ? Json::array({test}) : Json::array()},
                    {"failedTests", result.same ? Json::array() : Json::array({test})}};
  if (result.divergence) {
    predicate["reprise_divergence"] = {{"update", result.divergence->a.update},
                                       {"what", to_string(result.divergence->what)}};
  }
  return {{"_type", "https://in-toto.io/Statement/v1"},
          {"subject", Json::array({subject(options.run / "ledger.jsonl")})},
          {"predicateType", "https://in-toto.io/attestation/test-result/v0.1"},
          {"predicate", predicate}};
}

}  // namespace reprise::audit
