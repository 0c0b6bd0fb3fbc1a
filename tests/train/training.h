// Runs the real `train` and `eval` binaries in a scratch directory, and reduces what they leave to
// digests.
#pragma once

#include <sys/types.h>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace reprise::training {

// A directory of its own, removed with everything in it.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

struct Outcome {
  int code = 0;  // 128 + signal for a process that was killed
  std::string out, err;
};

using Arguments = std::vector<std::string>;

Outcome train(const Scratch& scratch, const Arguments& arguments);
Outcome eval(const Scratch& scratch, const Arguments& arguments);
// As train(), where no file can grow over `limit_bytes`: what a full disk looks like to a write.
Outcome train_with_file_limit(const Scratch& scratch, const Arguments& arguments,
                              std::uint64_t limit_bytes);
// As train(), and what others have closed is closed to it, also where root runs the tests.
Outcome train_as_a_user(const Scratch& scratch, const Arguments& arguments);
// As train(), and sends `signal` as soon as train.tsv of `run` has a row for `update`.
Outcome train_and_signal(const Scratch& scratch, const Arguments& arguments, const std::string& run,
                         std::uint64_t update, int signal);

// A process that runs beside the test; its streams go to files in the scratch directory.
struct Process {
  pid_t pid = 0;
  std::filesystem::path out, err;
};
// `environment`: NAME=VALUE, on top of the test's own.
Process start_program(const Scratch& scratch, const std::string& program,
                      const Arguments& arguments, const Arguments& environment = {});
Process start_train(const Scratch& scratch, const Arguments& arguments,
                    const Arguments& environment = {});
// Whether it is at its end, which finish() then gives.
bool has_ended(const Process& process);
// Waits for its end.
Outcome finish(const Process& process);
// Waits until train.tsv of `run` has a row for `update`; false, with a test failure, when the
// process ends before.
bool wait_for_update(const Process& process, const std::string& run, std::uint64_t update);
// The processes that it started and that still run.
std::vector<pid_t> children_of(pid_t parent);
const std::string& train_program();
const std::string& eval_program();

// A command line without quotes, word by word.
Arguments words(const std::string& line);
Arguments operator+(Arguments first, const Arguments& second);

// SHA-256 of every value and every tensor's digest in a checkpoint, in their order, but for what
// differs between equal runs: uuid, run, parents, fingerprint.
std::string checkpoint_digest(const std::filesystem::path& file);
// The same without metrics: for runs that evaluate at other times.
std::string training_digest(const std::filesystem::path& file);

// The end of the chain: the digest of every line of the ledger before it.
std::string ledger_digest(const std::filesystem::path& run);
// Of the last checkpoint of a run.
std::filesystem::path last_checkpoint(const std::filesystem::path& run);
// The one saved after so many updates; empty, with a test failure, when there is none.
std::filesystem::path checkpoint_after(const std::filesystem::path& run, std::uint64_t update);
std::vector<std::filesystem::path> checkpoints(const std::filesystem::path& run);

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& text);

// CIFAR-10 images of the shared data, `per_class` of each class for training and a fifth of that
// for evaluation, unpacked once below the build folder; empty when the archive is not there.
std::filesystem::path cifar_images(int per_class);

}  // namespace reprise::training
