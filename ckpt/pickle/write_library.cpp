#include "ckpt/pickle/value_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <system_error>

namespace reprise::pickle {

namespace {

// The whole of `text` as a number; nothing when it is none.
std::optional<unsigned> number_of(std::string_view text) {
  unsigned value = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  return read.ec == std::errc() && read.ptr == end ? std::optional(value) : std::nullopt;
}

// Numbers of so many digits each, with `separator` between them, at the start of ISO 8601 text.
template <std::size_t N>
std::optional<std::array<unsigned, N>> numbers_of(std::string_view text, char separator,
                                                  const std::array<std::size_t, N>& digits) {
  std::array<unsigned, N> numbers{};
  std::size_t at = 0;
  for (std::size_t i = 0; i < N; ++i) {
    if (i > 0 && (at >= text.size() || text[at++] != separator)) return std::nullopt;
    if (at + digits[i] > text.size()) return std::nullopt;
    const auto number = number_of(text.substr(at, digits[i]));
    if (!number) return std::nullopt;
    numbers[i] = *number;
    at += digits[i];
  }
  return numbers;
}

}  // namespace

void Writer::layout(std::string_view name) {
  out_.global("torch.serialization._get_layout");
  out_.text(name);
  out_.close_tuple(1);
  out_.op(Op::kReduce);
}

void Writer::size(const Shape& shape) {
  out_.global("torch.Size");
  out_.numbers(shape);
  out_.close_tuple(1);
  out_.op(Op::kReduce);
}

void Writer::device(std::string_view text) {
  out_.global("torch.device");
  const std::size_t colon = text.find(':');
  out_.text(text.substr(0, colon));
  std::int64_t index = 0;
  if (colon != std::string_view::npos) {
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), index);
    out_.integer(index);
  }
  out_.close_tuple(colon == std::string_view::npos ? 1 : 2);
  out_.op(Op::kReduce);
}

void Writer::time_delta(std::int64_t days, std::int64_t seconds, std::int64_t micros) {
  out_.global("datetime.timedelta");
  for (const std::int64_t part : {days, seconds, micros}) out_.integer(part);
  out_.close_tuple(3);
  out_.op(Op::kReduce);
}

void Writer::date_or_time(RecordClass cls, std::string_view text) {
  std::string state;
  const auto put = [&](unsigned byte) { state.push_back(static_cast<char>(byte)); };
  if (cls != RecordClass::kTime) {
    const auto date = numbers_of<3>(text, '-', {4, 2, 2});
    if (!date) refuse_to_write("a date that is no ISO 8601");
    const auto [year, month, day] = *date;
    for (const unsigned byte : {year >> 8, year & 0xFF, month, day}) put(byte);
    text.remove_prefix(std::min<std::size_t>(11, text.size()));
  }
  std::string_view offset;
  if (cls != RecordClass::kDate) {
    const auto clock = numbers_of<3>(text, ':', {2, 2, 2});
    if (!clock) refuse_to_write("a time that is no ISO 8601");
    for (const unsigned part : *clock) put(part);
    unsigned micros = 0;
    const std::size_t zone = std::min(text.find_first_of("+-"), text.size());
    if (text.size() > 8 && text[8] == '.') {
      const auto read = number_of(text.substr(9, zone - 9));
      if (!read || *read > 999'999) refuse_to_write("a time that is no ISO 8601");
      micros = *read;
    }
    for (const unsigned byte : {micros >> 16, micros >> 8 & 0xFF, micros & 0xFF}) put(byte);
    offset = text.substr(zone);
  }
  out_.global(cls == RecordClass::kDateTime ? "datetime.datetime"
              : cls == RecordClass::kDate   ? "datetime.date"
                                            : "datetime.time");
  out_.bytes(as_bytes(state));
  if (!offset.empty()) zone(offset);
  out_.close_tuple(offset.empty() ? 1 : 2);
  out_.op(Op::kReduce);
}

void Writer::zone(std::string_view offset) {
  const std::string_view clock = offset.substr(1);
  const auto minutes = numbers_of<2>(clock, ':', {2, 2});
  if (!minutes) refuse_to_write("a time zone");
  const auto seconds = numbers_of<3>(clock, ':', {2, 2, 2});
  std::int64_t total = (std::int64_t{(*minutes)[0]} * 60 + (*minutes)[1]) * 60;
  if (seconds) total += (*seconds)[2];
  if (offset[0] == '-') total = -total;
  out_.global("datetime.timezone");
  time_delta(total < 0 ? -1 : 0, total < 0 ? total + 86400 : total, 0);
  out_.close_tuple(1);
  out_.op(Op::kReduce);
}

void Writer::record(Value v) {
  const RecordNode& node = v.as_record();
  switch (node.record_class) {
    case RecordClass::kSize: {
      Shape shape;
      for (const Value extent : node.fields) shape.push_back(extent.as_int());
      return size(shape);
    }
    case RecordClass::kDevice: return device(node.fields[0].as_string());
    case RecordClass::kTorchDType:
      return out_.global("torch." + std::string(node.fields[0].as_string()));
    case RecordClass::kLayout: return layout("torch." + std::string(node.fields[0].as_string()));
    case RecordClass::kMemoryFormat:
      return global("torch." + std::string(node.fields[0].as_string()));
    case RecordClass::kStorage: {
      const Tensor& all = node.fields[0].as_tensor().tensor;
      storage(all, all.dtype(), true);
      return remember(v);
    }
    case RecordClass::kNumpyDType:
      require(Loadable::kAnyPython, "a numpy dtype");
      return write_numpy_dtype(out_, node.fields[0]);
    case RecordClass::kNumpyScalar:
      require(Loadable::kAnyPython, "a numpy scalar");
      return write_numpy_scalar(out_, node);
    case RecordClass::kNumpyArray:
      require(Loadable::kAnyPython, "a numpy array");
      open_numpy_array(out_);
      remember(v);
      open_numpy_state(out_, node);
      if (node.fields[2].kind() != Kind::kList) return close_numpy_array(out_);
      return then({step(node.fields[2]), step(Op::kTuple), step(Op::kBuild)});
    case RecordClass::kDateTime:
    case RecordClass::kDate:
    case RecordClass::kTime:
      require(Loadable::kAnyPython, "a date or time");
      return date_or_time(node.record_class, node.fields[0].as_string());
    case RecordClass::kTimeDelta:
      require(Loadable::kAnyPython, "a timedelta");
      return time_delta(node.fields[0].as_int(), node.fields[1].as_int(), node.fields[2].as_int());
    case RecordClass::kPath: {
      require(Loadable::kAnyPython, "a path");
      const auto parts = node.fields[1].as_sequence().items.span();
      out_.global("pathlib." + std::string(node.fields[0].as_string()));
      out_.open_tuple(parts.size());
      for (const Value part : parts) out_.text(part.as_string());
      out_.close_tuple(parts.size());
      return out_.op(Op::kReduce);
    }
  }
}

}  // namespace reprise::pickle
