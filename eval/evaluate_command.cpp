#include "eval/evaluate_command.h"

#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/base/parallel.h"
#include "ckpt/store/reference.h"
#include "ckpt/store/run_directory.h"
#include "engine/determinism/determinism.h"
#include "engine/device/device.h"
#include "eval/eval_table.h"
#include "eval/origin.h"
#include "eval/run_record.h"
#include "eval/subject.h"
#include "experiment/measure.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <optional>
#include <set>
#include <thread>

namespace reprise::eval {
namespace {

namespace fs = std::filesystem;

struct EpochRange {
  std::uint64_t first = 0;
  std::uint64_t last = ~std::uint64_t{0};
};

EpochRange parse_epochs(const std::string& text) {
  EpochRange range;
  if (text.empty()) return range;
  const auto number = [&](std::string_view part) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size()) {
      fail(Code::kUsage, "--epochs: '{}' is no range; write 3, 3:12, or 3:", printable(text));
    }
    return value;
  };
  const std::size_t colon = text.find(':');
  range.first = number(std::string_view(text).substr(0, colon));
  if (colon == std::string::npos) {
    range.last = range.first;
  } else if (colon + 1 < text.size()) {
    range.last = number(std::string_view(text).substr(colon + 1));
  }
  if (range.last < range.first) {
    fail(Code::kUsage, "--epochs: {} ends before it begins", printable(text));
  }
  return range;
}

// The folder whose eval.tsv an evaluation of `checkpoint` belongs to.
fs::path table_folder(const fs::path& checkpoint) {
  const fs::path folder = fs::absolute(checkpoint).lexically_normal().parent_path();
  return folder.filename() == "checkpoints" ? folder.parent_path() : folder;
}

class Evaluation {
 public:
  Evaluation(const EvalOptions& options, Io& io)
      : options_(options),
        io_(io),
        pool_(io.jobs),
        device_(engine::choose_device(options.device)),
        communicator_(engine::single_process()) {
    engine::set_ways_out({"evaluate with --device cpu",
                          "use fewer --jobs or --workers, or a smaller "
                          "--batch-size"});
    engine::set_determinism({}, device_);
  }

  void one(const fs::path& path);
  // Returns the exit code.
  int finish();

 private:
  int verdict();
  void introduce(const Subject& subject);
  engine::Metrics measure(const Subject& subject);
  std::uint64_t bank_samples(const Subject& subject) const;
  std::string settings(const Subject& subject) const;
  void print(const Subject& subject, const engine::Metrics& metrics,
             const OriginComparison& origin);

  const EvalOptions& options_;
  Io& io_;
  engine::WorkerPool pool_;
  c10::Device device_;
  std::unique_ptr<engine::Communicator> communicator_;
  DataCache data_;
  Json list_ = Json::array();
  std::optional<RunRecord> record_;  // set: the first lines are said, too
  int evaluated_ = 0, compared_ = 0, different_ = 0;
};

void Evaluation::introduce(const Subject& subject) {
  if (record_) return;
  io_.say("run directory: {}", table_folder(subject.loaded.path).string());
  io_.say("seed: {}", subject.config.seed);
  io_.say("device: {}", engine::describe_device(device_, pool_.threads()));
  io_.say("world size: {}", communicator_->world());
  io_.say("parameters: {} ({})", subject.network->layout()->parameter_elements(),
          subject.config.arch);
  io_.say("data: {}: {} samples, digest {}...",
          subject.config.val_data.empty() ? subject.config.data : subject.config.val_data,
          subject.dataset->size(), subject.dataset->digest().hex().substr(0, 12));
  for (const engine::BadSample& bad : subject.dataset->bad_samples()) {
    io_.warn("left out {}: {}", bad.name, bad.reason);
  }
  record_.emplace(table_folder(subject.loaded.path), subject, device_, pool_.threads(), io_);
}

void Evaluation::print(const Subject& subject, const engine::Metrics& metrics,
                       const OriginComparison& origin) {
  const Checkpoint& checkpoint = subject.loaded.checkpoint;
  const std::uint64_t update = checkpoint.progress ? checkpoint.progress->update : 0;
  if (io_.json) {
    Json values = Json::object();
    for (const auto& [name, value] : metrics) values[name] = value;
    list_.push_back({{"checkpoint", subject.loaded.path.string()},
                     {"uuid", checkpoint.uuid.text()},
                     {"epoch", checkpoint.epoch},
                     {"update", update},
                     {"metrics", values},
                     {"samples", subject.dataset->size()},
                     {"equal_to_training", origin.equal ? Json(*origin.equal) : Json()}});
    return;
  }
  std::string row = fmt::format("epoch {:<4} update {:<7}", checkpoint.epoch, update);
  for (const auto& [name, value] : metrics) row += fmt::format("  {} {:<12.8g}", name, value);
  row += !origin.equal   ? "  (training logged nothing here)"
         : *origin.equal ? "  " + io_.green("= training")
                         : "  " + io_.red("differs from training");
  io_.print("{}\n", row);
  io_.flush();
}

engine::Metrics Evaluation::measure(const Subject& subject) {
  if (subject.protocol == Protocol::kNetwork) {
    const experiment::Measurement measurement{*subject.network,
                                              *subject.objective,
                                              *subject.dataset,
                                              subject.facts,
                                              options_.batch_size,
                                              options_.workers,
                                              pool_,
                                              *communicator_,
                                              io_};
    return experiment::measure(measurement, *subject.weights, subject.ema.get());
  }
  engine::EvaluateOptions evaluation;
  evaluation.batch_size = options_.batch_size;
  evaluation.workers = options_.workers;
  engine::NeighbourOptions neighbours;
  neighbours.neighbours = options_.neighbours.value_or(subject.config.knn_neighbours);
  std::optional<engine::LinearOptions> linear;
  if (subject.protocol == Protocol::kLinear) linear.emplace();
  const experiment::FeatureMeasurement measurement{*subject.network,
                                                   *subject.bank,
                                                   *subject.dataset,
                                                   subject.facts,
                                                   bank_samples(subject),
                                                   neighbours,
                                                   linear,
                                                   evaluation,
                                                   pool_,
                                                   *communicator_,
                                                   io_};
  return experiment::measure_features(measurement, *subject.weights);
}

std::uint64_t Evaluation::bank_samples(const Subject& subject) const {
  return options_.bank_samples.value_or(static_cast<std::uint64_t>(subject.config.knn_samples));
}

// What a result in eval.tsv depends on beside weights and data.
std::string Evaluation::settings(const Subject& subject) const {
  std::string text = fmt::format("max-eval-samples={} image-size={}",
                                 subject.config.max_eval_samples, subject.facts.image_size);
  if (subject.protocol == Protocol::kNetwork) return text;
  text += subject.protocol == Protocol::kLinear
              ? std::string(" linear")
              : fmt::format(" neighbours={}",
                            options_.neighbours.value_or(subject.config.knn_neighbours));
  return text + fmt::format(" bank={} bank-samples={}", subject.bank->digest().hex().substr(0, 12),
                            bank_samples(subject));
}

void Evaluation::one(const fs::path& path) {
  const Subject subject = open_subject(path.string(), options_, data_, device_);
  introduce(subject);
  io_.detail("start: weights of {}", path.string());
  engine::Metrics metrics;
  engine::translate_torch_errors([&] { metrics = measure(subject); });
  const OriginComparison origin = compare_with_training(subject, metrics, device_);
  print(subject, metrics, origin);

  if (options_.compare_origin) {
    evaluated_ += 1;
    compared_ += origin.equal.has_value();
    different_ += origin.equal == false;
    for (const auto& difference : origin.differences) {
      io_.warn("{}: {} is {}, training logged {}", path.filename().string(), difference.metric,
               difference.found, difference.trained);
    }
    for (const std::string& cause : origin.causes) io_.warn("  likely cause: {}", cause);
  }

  const Checkpoint& checkpoint = subject.loaded.checkpoint;
  const EvalKey key{checkpoint.uuid.text(),
                    subject.dataset->digest().hex(),
                    settings(subject),
                    checkpoint.epoch,
                    checkpoint.progress ? checkpoint.progress->update : 0,
                    subject.dataset->size()};
  try {
    const int contradictions =
        append_to_table(table_folder(subject.loaded.path) / "eval.tsv", key, metrics);
    if (contradictions > 0) {
      io_.warn("eval.tsv holds other values of {} metric{} for the same weights, data and settings",
               contradictions, contradictions == 1 ? "" : "s");
    }
  } catch (const Error& error) {
    // The answer stands on stdout; somebody else's run may well be read-only.
    io_.warn("not recorded: {}", error.what());
  }
}

int Evaluation::finish() {
  const int code = verdict();
  if (record_) record_->finish(code);
  return code;
}

int Evaluation::verdict() {
  if (io_.json) io_.print_json({{"evaluations", list_}});
  if (!options_.compare_origin) return 0;
  if (compared_ == 0) {
    io_.warn("training logged no value for any of these checkpoints: nothing was compared");
    return static_cast<int>(Code::kNo);
  }
  io_.say("{} of {} evaluations equal what training logged, bit for bit", compared_ - different_,
          compared_);
  if (evaluated_ > compared_) {
    io_.warn("training logged no value for {} of {} checkpoints: they were not compared",
             evaluated_ - compared_, evaluated_);
  }
  return different_ == 0 ? 0 : static_cast<int>(Code::kNo);
}

}  // namespace

int run(const EvalOptions& options, Io& io) {
  if (options.all && !options.epochs.empty()) {
    fail(Code::kUsage, "--all evaluates every epoch, --epochs {} some; give one of them",
         options.epochs);
  }
  if (options.batch_size == 0) fail(Code::kUsage, "--batch-size 0: expected at least 1");
  if (options.neighbours && *options.neighbours < 1) {
    fail(Code::kUsage, "--neighbours {}: expected at least 1", *options.neighbours);
  }
  constexpr int kLargestSide = 4096;
  if (options.image_size < 0 || options.image_size > kLargestSide) {
    fail(Code::kUsage, "--image-size {}: expected 0 to {}", options.image_size, kLargestSide);
  }
  if (options.workers > kMostJobs) {
    fail(Code::kUsage, "--workers {}: at most {}", options.workers, kMostJobs);
  }
  const bool many = options.all || options.watch || !options.epochs.empty();
  Evaluation evaluation(options, io);
  if (!many) {
    evaluation.one(store::resolve(options.target, store::DirectoryMeans::kLast));
    return evaluation.finish();
  }
  const EpochRange range = parse_epochs(options.epochs);
  const store::RunDirectory directory = store::RunDirectory::open(options.target);
  std::set<std::string> done;  // UUIDs, or paths of files that have none
  while (true) {
    // Looked at before the folder: what a run saves as its last act is then in the list.
    const bool running = directory.info().state == store::RunState::kRunning;
    std::size_t fresh = 0;
    for (const store::CheckpointEntry& entry : directory.list()) {
      if (entry.epoch < range.first || entry.epoch > range.last) continue;
      if (!done.insert(entry.uuid.is_nil() ? entry.path.string() : entry.uuid.text()).second) {
        continue;
      }
      ++fresh;
      try {
        evaluation.one(entry.path);
      } catch (const Error&) {
        // --keep-last of a run that goes on removes what was listed a while ago.
        if (fs::exists(entry.path)) throw;
        io.warn("{}: removed meanwhile, and not evaluated", entry.path.string());
      }
    }
    if (done.empty() && !(options.watch && running)) {
      fail(Code::kNotFound, "{}: no checkpoint {}", options.target,
           options.epochs.empty() ? "to evaluate" : "of epochs " + options.epochs);
    }
    if (!options.watch || (!running && fresh == 0)) return evaluation.finish();
    if (running) std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

}  // namespace reprise::eval
