#include "repro/tensorboard/event_writer.h"

#include "ckpt/base/error.h"
#include "repro/tensorboard/record_file.h"
#include "repro/tensorboard/wire.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <optional>

namespace reprise::tensorboard {
namespace {

namespace fs = std::filesystem;

// Field numbers of tensorboard/compat/proto/event.proto and summary.proto.
namespace field {
constexpr std::uint32_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
constexpr std::uint32_t kValue = 1;                                             // of Summary
constexpr std::uint32_t kTag = 1, kSimpleValue = 2, kImage = 4, kMetadata = 9;  // of its Value
}  // namespace field

constexpr std::string_view kPrefix = "events.out.tfevents.";
constexpr std::uint64_t kSessionStart = 1;

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

// A name that sorts by time, as TensorBoard expects, and that no other process takes.
File create(const fs::path& folder) {
  make_directories(folder);
  const std::string stem =
      fmt::format("{}{}.{}.{}", kPrefix, static_cast<std::uint64_t>(now()), host_name(), getpid());
  for (int n = 0;; ++n) {
    const fs::path path = folder / fmt::format("{}.{}", stem, n);
    if (!fs::exists(path)) return File::create_new(path);
  }
}

// google.protobuf.Value of a setting.
Message value_of(const Json& setting) {
  Message out;
  if (setting.is_boolean()) {
    out.number(4, setting.get<bool>() ? 1 : 0);
  } else if (setting.is_number()) {
    out.float64(2, setting.get<double>());
  } else {
    out.bytes(3, setting.is_string() ? setting.get<std::string>() : dump_json(setting));
  }
  return out;
}

// HParamInfo.type of a setting.
std::uint64_t type_of(const Json& setting) {
  if (setting.is_boolean()) return 2;
  return setting.is_number() ? 3 : 1;
}

// The step of an encoded event; nothing for one that is at no step.
std::optional<std::uint64_t> step_of(std::string_view event) {
  std::uint64_t step = 0;
  bool counts = false;
  for (Fields fields(event); fields.next();) {
    if (fields.field() == field::kStep) step = fields.number();
    counts = counts || fields.field() == field::kSummary;
  }
  return counts ? std::optional(step) : std::nullopt;
}

}  // namespace

EventWriter::EventWriter(const fs::path& folder, std::uint64_t first_step) : file_(create(folder)) {
  event(0, field::kFileVersion, "brain.Event:2");
  if (first_step == 0) return;
  event(first_step, field::kSessionLog, Message().number(1, kSessionStart).encoded());
}

void EventWriter::event(std::uint64_t step, std::uint32_t content_field, std::string_view content) {
  Message message;
  message.float64(field::kWallTime, now()).number(field::kStep, step).bytes(content_field, content);
  const std::string record = framed(message.encoded());
  file_.write(size_, as_bytes(record));
  size_ += record.size();
}

void EventWriter::summary(std::uint64_t step, std::string_view value) {
  event(step, field::kSummary, Message().bytes(field::kValue, value).encoded());
}

void EventWriter::scalars(std::uint64_t step, Scalars values) {
  Message all;
  for (const auto& [name, value] : values) {
    Message one;
    one.bytes(field::kTag, name).float32(field::kSimpleValue, static_cast<float>(value));
    all.message(field::kValue, one);
  }
  event(step, field::kSummary, all.encoded());
}

void EventWriter::image(std::uint64_t step, std::string_view tag, const Picture& picture) {
  Message image;
  image.number(1, picture.height)
      .number(2, picture.width)
      .number(3, picture.channels)
      .bytes(4, encode_png(picture));
  summary(step, Message().bytes(field::kTag, tag).message(field::kImage, image).encoded());
}

// SummaryMetadata{plugin_data{plugin_name, content}} with HParamsPluginData as content.
void EventWriter::plugin(std::string_view tag, std::string_view data) {
  const Message named = Message().bytes(1, "hparams").bytes(2, data);
  summary(0, Message()
                 .bytes(field::kTag, tag)
                 .message(field::kMetadata, Message().message(1, named))
                 .encoded());
}

void EventWriter::settings(const Json& settings, std::span<const std::string> metrics) {
  Message experiment, start;
  for (const auto& [name, setting] : settings.items()) {
    experiment.message(4, Message().bytes(1, name).number(4, type_of(setting)));
    start.message(1, Message().bytes(1, name).message(2, value_of(setting)));
  }
  for (const std::string& metric : metrics) {
    experiment.message(5, Message().message(1, Message().bytes(2, metric)));
  }
  experiment.float64(3, now());
  start.float64(5, now());
  plugin("_hparams_/experiment", Message().message(2, experiment).encoded());
  plugin("_hparams_/session_start_info", Message().message(3, start).encoded());
}

void EventWriter::end(bool success) {
  const Message info = Message().number(1, success ? 1 : 2).float64(2, now());
  plugin("_hparams_/session_end_info", Message().message(4, info).encoded());
}

void cut_back(const fs::path& folder, std::uint64_t step) {
  if (!fs::exists(folder)) return;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (!entry.path().filename().string().starts_with(kPrefix) || !entry.is_regular_file())
      continue;
    const std::uint64_t end = read_records(entry.path(), [&](std::string_view event) {
      const auto found = step_of(event);
      return !found || *found <= step;
    });
    if (end == entry.file_size()) continue;
    const int descriptor = ::open(entry.path().c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) fail_errno(errno, entry.path().string());
    const File file(descriptor, entry.path());
    file.truncate(end);
    file.sync();
  }
}

}  // namespace reprise::tensorboard
