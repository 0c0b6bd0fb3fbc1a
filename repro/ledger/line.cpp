#include "repro/ledger/line.h"

#include "ckpt/base/error.h"
#include "ckpt/base/json.h"

#include <charconv>
#include <cmath>

namespace reprise::ledger {

namespace {

constexpr std::size_t kDigestDigits = 32;

std::string require_digest(const Json& json, std::string_view key) {
  std::string text = require_string(json, key, "ledger line");
  if (text.size() != kDigestDigits ||
      text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    fail(Code::kCorrupt, "ledger line: '{}' is '{}', {} hexadecimal digits were expected", key,
         printable(text, 80), kDigestDigits);
  }
  return text;
}

}  // namespace

std::string hex_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char digits[40];
  const double magnitude = std::fabs(value);
  const auto [end, problem] =
      std::to_chars(digits, digits + sizeof digits, magnitude, std::chars_format::hex);
  if (problem != std::errc()) fail(Code::kInternal, "a float did not fit 40 characters");
  return fmt::format("{}0x{}", std::signbit(value) ? "-" : "",
                     std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

std::optional<double> parse_hex_float(std::string_view text) {
  if (text == "nan") return std::nan("");
  if (text == "inf") return HUGE_VAL;
  if (text == "-inf") return -HUGE_VAL;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (!text.starts_with("0x")) return std::nullopt;
  text.remove_prefix(2);
  double value = 0;
  const auto [end, problem] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::hex);
  if (problem != std::errc() || end != text.data() + text.size() || text.starts_with('-'))
    return std::nullopt;
  return negative ? -value : value;
}

std::string encode(const UpdateLine& line, const Digest& prev) {
  return fmt::format(
      R"({{"update":{},"epoch":{},"samples":{},"batch":"{}","loss":"{}","grad":"{}","param":"{}","rng":"{}","prev":"{}"}})",
      line.update, line.epoch, line.samples, line.batch, hex_float(line.loss), line.grad,
      line.param, line.rng, prev.hex());
}

std::string encode(const TensorsLine& line, const Digest& prev) {
  Json tensors = Json::object();
  for (const auto& [name, digest] : line.digests)
    tensors.get_ref<Json::object_t&>().push_back({name, digest});
  return fmt::format(R"({{"update":{},"tensors":{},"prev":"{}"}})", line.update, dump_json(tensors),
                     prev.hex());
}

ParsedLine parse_line(std::string_view line) {
  const Json json = parse_json(line, 4);
  ParsedLine parsed;
  parsed.prev = Digest::from_hex(require_string(json, "prev", "ledger line"));
  const std::uint64_t update = require_uint(json, "update", "ledger line");
  if (json.contains("tensors")) {
    TensorsLine tensors{update, {}};
    const Json& digests = require_object(json, "tensors", "ledger line");
    for (const auto& [name, digest] : digests.items())
      tensors.digests.emplace_back(name, require_digest(digests, name));
    parsed.tensors = std::move(tensors);
    return parsed;
  }
  UpdateLine entry;
  entry.update = update;
  entry.epoch = require_uint(json, "epoch", "ledger line");
  entry.samples = require_uint(json, "samples", "ledger line");
  entry.batch = require_digest(json, "batch");
  const std::string loss = require_string(json, "loss", "ledger line");
  const auto value = parse_hex_float(loss);
  if (!value)
    fail(Code::kCorrupt, "ledger line: 'loss' is '{}', a hexadecimal float was expected",
         printable(loss, 80));
  entry.loss = *value;
  entry.grad = require_digest(json, "grad");
  entry.param = require_digest(json, "param");
  entry.rng = require_digest(json, "rng");
  parsed.update = std::move(entry);
  return parsed;
}

}  // namespace reprise::ledger
