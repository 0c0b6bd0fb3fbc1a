#include "ckpt/base/error.h"
#include "ckpt/cli/commands.h"
#include "ckpt/cli/epoch_list.h"
#include "ckpt/cli/mean_storage.h"
#include "ckpt/cli/write_target.h"
#include "ckpt/store/load.h"
#include "ckpt/store/run_directory.h"

#include <algorithm>
#include <memory>

namespace reprise::cli {
namespace {

struct AverageOptions {
  std::vector<std::string> arguments;  // CKPT..., OUT
  std::optional<std::uint64_t> last;
  std::string epochs;
  WriteTarget out;
};

// A run directory stands for the checkpoints that --last or --epochs name.
std::vector<std::string> files_of_run(const std::string& argument, const AverageOptions& options) {
  if (!options.last && options.epochs.empty()) {
    fail(Code::kUsage, "{}: is a run; say which of its checkpoints with --last K or --epochs 3:12",
         printable(argument));
  }
  std::vector<store::CheckpointEntry> entries = store::RunDirectory::open(argument).list();
  std::erase_if(entries, [](const store::CheckpointEntry& e) { return e.rolling || e.problem; });
  if (!options.epochs.empty()) {
    const EpochList wanted = EpochList::parse(options.epochs);
    std::erase_if(entries,
                  [&](const store::CheckpointEntry& e) { return !wanted.contains(e.epoch); });
  }
  if (options.last) {
    if (*options.last > entries.size()) {
      fail(Code::kNotFound, "{}: --last {} of {} checkpoints", printable(argument), *options.last,
           entries.size());
    }
    entries.erase(entries.begin(), entries.end() - static_cast<std::ptrdiff_t>(*options.last));
  }
  if (entries.empty())
    fail(Code::kNotFound, "{}: no checkpoint of epochs {}", printable(argument), options.epochs);
  std::vector<std::string> files;
  for (const auto& entry : entries) files.push_back(entry.path.native());
  return files;
}

StateDict mean_of_dicts(std::string_view name, const std::vector<const StateDict*>& dicts,
                        const std::vector<std::string>& files) {
  StateDict mean;
  for (const auto& [key, tensor] : *dicts.front()) {
    std::vector<Tensor> tensors;
    for (std::size_t i = 0; i < dicts.size(); ++i) {
      const Tensor* other = dicts[i]->find(key);
      if (other == nullptr || dicts[i]->size() != dicts.front()->size()) {
        fail(Code::kMismatch,
             "{}: {} has other tensors than in {}; only saves of one architecture have a mean",
             files[i], name, files[0]);
      }
      if (other->dtype() != tensor.dtype() || other->shape() != tensor.shape()) {
        fail(Code::kMismatch, "{}: {}/{} has another type or shape than in {}", files[i], name,
             printable(key), files[0]);
      }
      tensors.push_back(*other);
    }
    mean.append(key, mean_of(std::move(tensors)));
  }
  return mean;
}

Checkpoint average(const std::vector<std::string>& files, unsigned jobs) {
  std::vector<Checkpoint> inputs;
  for (const std::string& file : files)
    inputs.push_back(store::load(file, {.verify = true, .jobs = jobs}));
  const Checkpoint& newest = inputs.back();
  Checkpoint mean;
  mean.type = newest.type;
  mean.uuid = Uuid::random();
  mean.epoch = newest.epoch;
  mean.epoch_known = newest.epoch_known;
  mean.arch = newest.arch;
  mean.arch_head = newest.arch_head;
  mean.uuid_backbone = newest.uuid_backbone;
  mean.config = newest.config;
  mean.run = newest.run;
  StateDict Checkpoint::*const members[] = {&Checkpoint::student, &Checkpoint::teacher,
                                            &Checkpoint::backbone, &Checkpoint::head,
                                            &Checkpoint::model};
  constexpr std::string_view kNames[] = {"student", "teacher", "backbone", "head", "model"};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].type != newest.type || inputs[i].uuid_backbone != newest.uuid_backbone) {
      fail(Code::kMismatch, "{}: is of another type, or has another backbone, than {}", files[i],
           files.back());
    }
    mean.parents.push_back({inputs[i].uuid, Relation::kLoaded});
  }
  for (std::size_t m = 0; m < std::size(members); ++m) {
    std::vector<const StateDict*> dicts;
    for (const Checkpoint& input : inputs) dicts.push_back(&(input.*members[m]));
    mean.*members[m] = mean_of_dicts(kNames[m], dicts, files);
  }
  return mean;
}

int run(AverageOptions options, Io& io) {
  if (options.arguments.size() < 2) fail(Code::kUsage, "at least one CKPT and OUT are needed");
  if (options.last == 0U) fail(Code::kUsage, "--last is at least 1");
  options.out.path = options.arguments.back();
  options.arguments.pop_back();
  check_target(options.out);
  std::vector<std::string> files;
  for (const std::string& argument : options.arguments) {
    std::error_code failure;
    if (std::filesystem::is_directory(argument, failure)) {
      const std::vector<std::string> of_run = files_of_run(argument, options);
      files.insert(files.end(), of_run.begin(), of_run.end());
    } else {
      files.push_back(argument);
    }
  }
  if (files.size() < 2)
    fail(Code::kUsage, "a mean needs at least two checkpoints; found {}", files.size());
  write_target(average(files, io.jobs), options.out, io);
  return 0;
}

}  // namespace

void add_average(CommandLine& app) {
  auto options = std::make_shared<AverageOptions>();
  Command& command = app.command("average", "Mean of the weights of several checkpoints");
  command.about(
      "The last argument is the file to write. Values are added in the order given, in float64, "
      "and "
      "rounded to their type once. The result has no optimizer and no metrics, a UUID of its own, "
      "and all inputs as parents. A run directory stands for the saves that --last or --epochs "
      "name.");
  command.positional("CKPT_AND_OUT", options->arguments,
                     "files, references or runs; then the file to write");
  command.option("--last", options->last, "of a run: its newest K saves").placeholder("K");
  command.option("--epochs", options->epochs, "of a run: these epochs, such as 3:12 or 3,5,7")
      .placeholder("LIST");
  command.flag("--lossy", options->out.lossy, "leave out what the format of OUT cannot hold");
  command.flag("--overwrite", options->out.overwrite, "replace OUT when it exists");
  command.example("ckpt average runs/road/20261121-100000 --last 5 mean.h5",
                  "the mean of the last five saves");
  command.exit_code(14, "incomplete: the writer never committed");
  command.exit_code(15, "mismatch: the checkpoints are of different architectures");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::cli
