#include "tests/train/training.h"

#include "ckpt/base/sha256.h"
#include "ckpt/container/canonical.h"
#include "ckpt/store/load.h"
#include "ckpt/store/reference.h"
#include "ckpt/store/run_directory.h"

#include <gtest/gtest.h>
#include <sstream>

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>

namespace reprise::training {
namespace {

namespace fs = std::filesystem;

// `prepare` runs in the child process.
Process start(const Scratch& scratch, const std::string& binary, const Arguments& arguments,
              const std::function<void()>& prepare = {}, const Arguments& environment = {}) {
  static int number = 0;
  const std::string name = "process-" + std::to_string(++number);
  Process process{0, scratch / (name + ".out"), scratch / (name + ".err")};
  std::vector<std::string> words = {binary};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  process.pid = fork();
  if (process.pid == 0) {
    if (chdir(scratch.path().c_str()) != 0) _exit(126);
    const auto redirect = [](const fs::path& path, int descriptor) {
      dup2(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), descriptor);
    };
    if (prepare) prepare();
    for (const std::string& one : environment) {
      const std::size_t equals = one.find('=');
      ::setenv(one.substr(0, equals).c_str(), one.substr(equals + 1).c_str(), 1);
    }
    redirect(process.out, STDOUT_FILENO);
    redirect(process.err, STDERR_FILENO);
    execv(binary.c_str(), argv.data());
    _exit(127);
  }
  return process;
}

bool has_row(const fs::path& table, std::uint64_t update) {
  if (!fs::exists(table)) return false;
  return read_file(table).find("\n" + std::to_string(update) + "\t") != std::string::npos;
}

std::string digest_of(Checkpoint checkpoint) {
  checkpoint.uuid = Uuid::from_url_name("blank");
  checkpoint.run.reset();
  checkpoint.parents.clear();
  checkpoint.fingerprint.reset();
  Sha256 digest;
  container::write_canonical(checkpoint.to_document().root,
                             [&](std::string_view piece) { digest.update(piece); });
  return digest.finish().hex();
}

}  // namespace

Scratch::Scratch() {
  std::string name = (fs::temp_directory_path() / "reprise-train-XXXXXX").native();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = fs::canonical(name);
}

Scratch::~Scratch() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Arguments words(const std::string& line) {
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), {}};
}

Arguments operator+(Arguments first, const Arguments& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

Outcome train(const Scratch& scratch, const Arguments& arguments) {
  return finish(start(scratch, REPRISE_BIN_TRAIN, arguments));
}

Outcome train_with_file_limit(const Scratch& scratch, const Arguments& arguments,
                              std::uint64_t limit_bytes) {
  return finish(start(scratch, REPRISE_BIN_TRAIN, arguments, [limit_bytes] {
    const rlimit limit{limit_bytes, limit_bytes};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(126);
    std::signal(SIGXFSZ, SIG_IGN);  // the write fails instead
  }));
}

Outcome train_as_a_user(const Scratch& scratch, const Arguments& arguments) {
  return finish(start(scratch, REPRISE_BIN_TRAIN, arguments, [] {
    // Without root there is no such right to give up.
    prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE);
    prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH);
  }));
}

Outcome eval(const Scratch& scratch, const Arguments& arguments) {
  return finish(start(scratch, REPRISE_BIN_EVAL, arguments));
}

Outcome train_and_signal(const Scratch& scratch, const Arguments& arguments, const std::string& run,
                         std::uint64_t update, int signal) {
  const Process process = start(scratch, REPRISE_BIN_TRAIN, arguments);
  wait_for_update(process, run, update);
  kill(process.pid, signal);
  return finish(process);
}

Process start_program(const Scratch& scratch, const std::string& program,
                      const Arguments& arguments, const Arguments& environment) {
  return start(scratch, program, arguments, {}, environment);
}

Process start_train(const Scratch& scratch, const Arguments& arguments,
                    const Arguments& environment) {
  return start_program(scratch, REPRISE_BIN_TRAIN, arguments, environment);
}

bool has_ended(const Process& process) {
  siginfo_t state{};
  waitid(P_PID, static_cast<id_t>(process.pid), &state, WEXITED | WNOHANG | WNOWAIT);
  return state.si_pid != 0;
}

Outcome finish(const Process& process) {
  int status = 0;
  waitpid(process.pid, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(process.out),
          read_file(process.err)};
}

bool wait_for_update(const Process& process, const std::string& run, std::uint64_t update) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (!has_row(fs::path(run) / "train.tsv", update)) {
    if (has_ended(process) || std::chrono::steady_clock::now() > give_up) {
      ADD_FAILURE() << "ended before update " << update << ": " << read_file(process.err);
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

std::vector<pid_t> children_of(pid_t parent) {
  const std::string id = std::to_string(parent);
  std::ifstream list("/proc/" + id + "/task/" + id + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

const std::string& train_program() {
  static const std::string program = REPRISE_BIN_TRAIN;
  return program;
}

const std::string& eval_program() {
  static const std::string program = REPRISE_BIN_EVAL;
  return program;
}

std::string checkpoint_digest(const fs::path& file) {
  return digest_of(store::load(file.string()));
}

std::string training_digest(const fs::path& file) {
  Checkpoint checkpoint = store::load(file.string());
  checkpoint.metrics = Json::object();
  for (const char* key :
       {"validate", "val-every", "val-every-updates", "val-begin", "async-save", "derived",
        "workers", "prefetch", "max-updates", "log-every", "activation-checkpointing"}) {
    checkpoint.config.erase(key);
  }
  return digest_of(std::move(checkpoint));
}

std::string ledger_digest(const fs::path& run) { return sha256_file(run / "ledger.jsonl").hex(); }

fs::path last_checkpoint(const fs::path& run) { return store::resolve(run.string() + "/<last>"); }

fs::path checkpoint_after(const fs::path& run, std::uint64_t update) {
  for (const auto& entry : store::RunDirectory::open(run).list()) {
    if (entry.update == update) return entry.path;
  }
  ADD_FAILURE() << "no checkpoint after update " << update << " in " << run;
  return {};
}

std::vector<fs::path> checkpoints(const fs::path& run) {
  std::vector<fs::path> out;
  for (const auto& entry : store::RunDirectory::open(run).list()) out.push_back(entry.path);
  return out;
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

fs::path cifar_images(int per_class) {
  const fs::path archive = fs::path(REPRISE_SHARED_DIR) / "data" / "cifar10-images.tar.gz";
  if (!fs::exists(archive)) return {};
  const fs::path whole = fs::path(REPRISE_BUILD_DIR) / "cifar10-images";
  if (!fs::exists(whole / "complete")) {
    fs::create_directories(whole);
    const std::string command = "tar -xzf '" + archive.string() + "' -C '" + whole.string() + "'";
    if (std::system(command.c_str()) != 0) throw std::runtime_error(command);
    write_file(whole / "complete", "");
  }
  fs::path root = whole;
  if (!fs::exists(root / "train")) {
    for (const auto& entry : fs::directory_iterator(whole)) {
      if (fs::exists(entry.path() / "train")) root = entry.path();
    }
  }
  const fs::path part = fs::path(REPRISE_BUILD_DIR) / ("cifar10-part-" + std::to_string(per_class));
  if (fs::exists(part / "complete")) return part;
  for (const char* split : {"train", "test"}) {
    const int limit = std::string(split) == "train" ? per_class : per_class / 5;
    for (const auto& folder : fs::directory_iterator(root / split)) {
      std::vector<fs::path> files;
      for (const auto& file : fs::directory_iterator(folder)) files.push_back(file.path());
      std::sort(files.begin(), files.end());
      files.resize(std::min<std::size_t>(files.size(), static_cast<std::size_t>(limit)));
      const fs::path target = part / split / folder.path().filename();
      fs::create_directories(target);
      for (const fs::path& file : files) {
        fs::copy_file(file, target / file.filename(), fs::copy_options::overwrite_existing);
      }
    }
  }
  write_file(part / "complete", "");
  return part;
}

}  // namespace reprise::training
