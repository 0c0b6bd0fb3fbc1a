#include "train/run_log.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/progress.h"
#include "train/run_events.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <functional>
#include <optional>

namespace reprise::train {
namespace {

constexpr std::string_view kTrainColumns =
    "update\tepoch\tsamples_seen\tlr\tloss\tgrad_norm\ttime\tdata_time\tmemory\n";

File open_append(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0) fail_errno(errno, path.string());
  return File(descriptor, path);
}

// One write(): the kernel has the line whole or not at all, but for a full disk.
void append(File& file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file.descriptor(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_errno(errno, file.path().string());
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string local_time() {
  const auto now = std::chrono::system_clock::now();
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  return fmt::format("{:%Y-%m-%d %H:%M:%S},{:03}",
                     fmt::localtime(std::chrono::system_clock::to_time_t(now)), ms);
}

// The update that a line of train.log speaks of, as "update 12: ..." or, in mmcv's shape, as
// "Epoch [3][1200/1514]".
std::optional<std::uint64_t> update_of_log_line(std::string_view line) {
  const std::size_t dash = line.find(" - INFO - ");
  if (dash == std::string_view::npos) return std::nullopt;
  std::string_view text = line.substr(dash + 10);
  const auto number = [&](std::string_view before) -> std::optional<std::uint64_t> {
    if (!text.starts_with(before)) return std::nullopt;
    std::uint64_t value = 0;
    const char* first = text.data() + before.size();
    const auto [end, error] = std::from_chars(first, text.data() + text.size(), value);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
  };
  if (const auto update = number("update ")) return update;
  const auto epoch = number("Epoch [");
  const auto in_epoch = epoch ? number("][") : std::nullopt;
  const auto per_epoch = in_epoch ? number("/") : std::nullopt;
  if (!per_epoch || *epoch == 0) return std::nullopt;
  return (*epoch - 1) * *per_epoch + *in_epoch;
}

std::optional<std::uint64_t> update_of_row(std::string_view line) {
  std::uint64_t update = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), update);
  if (error != std::errc() || end == line.data() + line.size() || *end != '\t') return std::nullopt;
  return update;
}

// Keeps the lines before the first one that is of a later update.
void keep_until(const std::filesystem::path& path, std::uint64_t update,
                const std::function<std::optional<std::uint64_t>(std::string_view)>& update_of) {
  if (!std::filesystem::exists(path)) return;
  const std::string text = read_text(path, std::uint64_t{1} << 32);
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string::npos) break;  // torn
    const auto found = update_of(std::string_view(text).substr(at, end - at));
    if (found && *found > update) break;
    at = end + 1;
  }
  if (at != text.size()) write_text(path, std::string_view(text).substr(0, at));
}

}  // namespace

struct RunLog::Files {
  File log, train, valid;
  bool terminal = isatty(STDERR_FILENO) == 1;
};

std::string exact(double value) { return fmt::format("{}", value); }

std::string mmcv_line(const IntervalRecord& record) {
  return fmt::format(
      "Epoch [{}][{}/{}]\tlr: {:.3e}, eta: {}, time: {:.3f}, data_time: {:.3f}, memory: {}, "
      "loss: {:.4f}, grad_norm: {:.4f}",
      record.epoch, record.update_in_epoch, record.updates_per_epoch, record.lr,
      // mmcv prints a timedelta: always with hours.
      record.eta_s < 3600 ? fmt::format("0:{:02}:{:02}", static_cast<int>(record.eta_s) / 60,
                                        static_cast<int>(record.eta_s) % 60)
                          : format_duration(record.eta_s),
      record.time_s, record.data_time_s, record.memory_mib, record.loss, record.grad_norm);
}

RunLog::RunLog(const std::filesystem::path& run, std::string name, Io& io)
    : name_(std::move(name)),
      io_(io),
      files_(new Files{open_append(run / "train.log"), open_append(run / "train.tsv"),
                       open_append(run / "valid.tsv")}) {
  if (files_->train.size() == 0) append(files_->train, kTrainColumns);
}

RunLog::~RunLog() = default;

void RunLog::line(std::string_view level, std::string_view text, bool shown) {
  const std::string whole = fmt::format("{} - {} - {} - {}\n", local_time(), name_, level, text);
  const std::lock_guard lock(mutex_);
  append(files_->log, whole);
  if (!shown) return;
  // On a terminal a bar may stand in the last line: it is drawn anew.
  io_.say("{}{}", files_->terminal ? "\r\033[K" : "",
          std::string_view(whole).substr(0, whole.size() - 1));
}

void RunLog::info(std::string_view text) { line("INFO", text, true); }
void RunLog::warn(std::string_view text) {
  line("WARNING", text, !io_.quiet);
  if (io_.quiet) io_.warn("{}", text);
}

void RunLog::error(std::string_view text) { line("ERROR", text, false); }

void RunLog::interval(const IntervalRecord& record) {
  line("INFO", mmcv_line(record), !files_->terminal);
  const std::string row =
      fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{:.4f}\t{:.4f}\t{}\n", record.update, record.epoch,
                  record.samples_seen, exact(record.lr), exact(record.loss),
                  exact(record.grad_norm), record.time_s, record.data_time_s, record.memory_mib);
  const std::lock_guard lock(mutex_);
  append(files_->train, row);
  if (!events_) return;
  const std::pair<std::string, double> values[] = {
      {"train/loss", record.loss},
      {"train/lr", record.lr},
      {"train/grad_norm", record.grad_norm},
      {"train/time", record.time_s},
      {"train/data_time", record.data_time_s},
      {"train/memory_mib", static_cast<double>(record.memory_mib)},
      {"train/epoch", static_cast<double>(record.epoch)},
      {"train/samples_seen", static_cast<double>(record.samples_seen)}};
  events_->scalars(record.update, values);
}

void RunLog::evaluation(const EvaluationRecord& record) {
  std::string text = fmt::format("update {}: evaluated {} samples", record.update, record.samples);
  std::string head = "update\tepoch\tsamples_seen\tsamples";
  std::string row = fmt::format("{}\t{}\t{}\t{}", record.update, record.epoch, record.samples_seen,
                                record.samples);
  for (const auto& [name, value] : record.metrics) {
    text += fmt::format(", {}: {:.6g}", name, value);
    head += "\t" + name;
    row += "\t" + exact(value);
  }
  line("INFO", text, true);
  const std::lock_guard lock(mutex_);
  if (files_->valid.size() == 0) append(files_->valid, head + "\n");
  append(files_->valid, row + "\n");
  if (events_) events_->scalars(record.update, record.metrics);
}

void RunLog::end(bool success) {
  const std::lock_guard lock(mutex_);
  if (events_) events_->end(success);
}

void cut_back_logs(const std::filesystem::path& run, std::uint64_t update) {
  keep_until(run / "train.log", update, update_of_log_line);
  keep_until(run / "train.tsv", update, update_of_row);
  keep_until(run / "valid.tsv", update, update_of_row);
  tensorboard::cut_back(run / kEventFolder, update);
}

}  // namespace reprise::train
