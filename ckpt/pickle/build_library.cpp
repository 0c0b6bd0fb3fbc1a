// datetime and pathlib, as their own __reduce__ writes them.
#include "ckpt/base/error.h"
#include "ckpt/pickle/builder.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>

namespace reprise::pickle {

namespace {

using Args = std::span<const Value>;

constexpr std::int64_t kMicrosecondsPerSecond = 1'000'000;
constexpr std::int64_t kSecondsPerDay = 86'400;
constexpr std::int64_t kLargestPart = 1'000'000'000'000;  // of a timedelta; Python allows 10^9 days

std::optional<Value> record_text(Arena& arena, RecordClass record_class, const std::string& text) {
  const std::array<Value, 1> field = {arena.string(text)};
  return arena.record(record_class, field);
}

unsigned byte_at(Bytes bytes, std::size_t i) { return std::to_integer<unsigned>(bytes[i]); }

// "+02:00" of a datetime.timezone, which is a recorded call with a timedelta; nothing for
// the classes of other libraries.
std::optional<std::string> offset_text(Value zone) {
  const OpaqueNode* node = zone.if_opaque();
  if (node == nullptr || node->name != "datetime.timezone" || node->args.kind() != Kind::kTuple) {
    return std::nullopt;
  }
  const auto& args = node->args.as_sequence().items;
  const RecordNode* delta = args.empty() ? nullptr : args[0].if_record(RecordClass::kTimeDelta);
  if (delta == nullptr) return std::nullopt;
  const std::int64_t days = delta->fields[0].as_int();
  if (days < -1 || days > 0) return std::nullopt;  // zones lie within one day
  std::int64_t micros =
      (days * kSecondsPerDay + delta->fields[1].as_int()) * kMicrosecondsPerSecond +
      delta->fields[2].as_int();
  const char sign = micros < 0 ? '-' : '+';
  micros = std::abs(micros);
  const std::int64_t seconds = micros / kMicrosecondsPerSecond;
  std::string text = fmt::format("{}{:02}:{:02}", sign, seconds / 3600, seconds / 60 % 60);
  if (seconds % 60 != 0 || micros % kMicrosecondsPerSecond != 0)
    text += fmt::format(":{:02}", seconds % 60);
  if (micros % kMicrosecondsPerSecond != 0)
    text += fmt::format(".{:06}", micros % kMicrosecondsPerSecond);
  return text;
}

// "12:34:56.000789" of hour, minute, second and three bytes of microseconds.
std::optional<std::string> clock_text(Bytes state) {
  const unsigned micros = byte_at(state, 3) << 16 | byte_at(state, 4) << 8 | byte_at(state, 5);
  // Protocol 4 and later keep the fold bit of repeated hours above the hour of a time.
  const unsigned hour = byte_at(state, 0) & 0x7F;
  if (hour > 23 || byte_at(state, 1) > 59 || byte_at(state, 2) > 59 || micros > 999'999)
    return std::nullopt;
  std::string text = fmt::format("{:02}:{:02}:{:02}", hour, byte_at(state, 1), byte_at(state, 2));
  if (micros != 0) text += fmt::format(".{:06}", micros);
  return text;
}

std::optional<std::string> day_text(Bytes state) {
  const unsigned year = byte_at(state, 0) << 8 | byte_at(state, 1);
  const unsigned month = byte_at(state, 2) & 0x7F;  // the fold bit of a datetime
  const unsigned day = byte_at(state, 3);
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31)
    return std::nullopt;
  return fmt::format("{:04}-{:02}-{:02}", year, month, day);
}

std::optional<Value> date_or_time(Arena& arena, Known known, Args args) {
  const std::optional<Bytes> state = args.empty() ? std::nullopt : bytes_of(args[0]);
  const std::size_t size = known == Known::kDateTime ? 10 : known == Known::kDate ? 4 : 6;
  if (!state || state->size() != size || args.size() > (known == Known::kDate ? 1u : 2u))
    return std::nullopt;
  std::string text;
  if (known != Known::kTime) {
    const auto day = day_text(*state);
    if (!day) return std::nullopt;
    text = *day;
  }
  if (known != Known::kDate) {
    const auto clock = clock_text(state->subspan(size - 6));
    if (!clock) return std::nullopt;
    text += (text.empty() ? "" : "T") + *clock;
  }
  if (args.size() == 2 && !args[1].is_none()) {
    const auto offset = offset_text(args[1]);
    if (!offset) return std::nullopt;
    text += *offset;
  }
  return record_text(arena,
                     known == Known::kDateTime ? RecordClass::kDateTime
                     : known == Known::kDate   ? RecordClass::kDate
                                               : RecordClass::kTime,
                     text);
}

std::optional<Value> time_delta(Arena& arena, Args args) {
  if (args.size() != 3) return std::nullopt;
  std::array<std::int64_t, 3> parts{};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto number = args[i].if_int();
    if (!number || *number > kLargestPart || *number < -kLargestPart) return std::nullopt;
    parts[i] = *number;
  }
  // Python keeps 0 <= microseconds < 10^6 and 0 <= seconds < 86,400.
  const auto carry = [](std::int64_t& low, std::int64_t& high, std::int64_t limit) {
    std::int64_t whole = low / limit;
    if (low % limit < 0) --whole;
    low -= whole * limit;
    high += whole;
  };
  carry(parts[2], parts[1], kMicrosecondsPerSecond);
  carry(parts[1], parts[0], kSecondsPerDay);
  const std::array<Value, 3> fields = {Value::integer(parts[0]), Value::integer(parts[1]),
                                       Value::integer(parts[2])};
  return arena.record(RecordClass::kTimeDelta, fields);
}

// The parts of a path as pathlib gives them: the root, then names without "." and "".
std::vector<std::string> path_parts(bool windows, const std::vector<std::string_view>& pieces) {
  const std::string_view separators = windows ? "/\\" : "/";
  std::string anchor;
  std::vector<std::string> names;
  for (std::string_view piece : pieces) {
    std::string drive;
    if (windows && piece.size() >= 2 && piece[1] == ':') {
      drive = piece.substr(0, 2);
      piece.remove_prefix(2);
    }
    const bool rooted = !piece.empty() && separators.find(piece.front()) != std::string_view::npos;
    if (rooted || !drive.empty()) {  // an absolute piece replaces what was before it
      if (rooted || (drive != anchor.substr(0, drive.size()))) names.clear();
      if (drive.empty() && windows && anchor.size() >= 2 && anchor[1] == ':')
        drive = anchor.substr(0, 2);
      anchor = drive + (rooted ? std::string(1, windows ? '\\' : '/') : std::string());
    }
    for (std::size_t at = 0; at <= piece.size();) {
      const std::size_t end = std::min(piece.find_first_of(separators, at), piece.size());
      const std::string_view part = piece.substr(at, end - at);
      if (!part.empty() && part != ".") names.emplace_back(part);
      at = end + 1;
    }
  }
  if (!anchor.empty()) names.insert(names.begin(), anchor);
  return names;
}

std::optional<Value> path(Arena& arena, bool windows, std::string_view class_name, Args args) {
  std::vector<std::string_view> pieces;
  for (const Value arg : args) {
    if (!arg.is_string()) return std::nullopt;
    pieces.push_back(arg.as_string());
  }
  std::vector<Value> parts;
  for (const std::string& part : path_parts(windows, pieces)) parts.push_back(arena.string(part));
  const std::array<Value, 2> fields = {arena.string(class_name), arena.tuple(parts)};
  return arena.record(RecordClass::kPath, fields);
}

}  // namespace

std::optional<Value> build_library(Arena& arena, Known known, std::string_view class_name,
                                   Args args) {
  switch (known) {
    case Known::kDateTime:
    case Known::kDate:
    case Known::kTime: return date_or_time(arena, known, args);
    case Known::kTimeDelta: return time_delta(arena, args);
    case Known::kPosixPath:
    case Known::kWindowsPath: return path(arena, known == Known::kWindowsPath, class_name, args);
    default: return std::nullopt;
  }
}

}  // namespace reprise::pickle
