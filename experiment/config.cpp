#include "experiment/config.h"

#include "ckpt/base/error.h"
#include "ckpt/base/nearest_name.h"
#include "experiment/option_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

namespace reprise::experiment {
namespace {

std::string kind_of(const OptionValue& value) {
  constexpr const char* kNames[] = {"true or false", "a whole number", "a number", "text"};
  return kNames[value.index()];
}

[[noreturn]] void fail_type(std::string_view origin, const OptionSpec& spec,
                            const OptionValue& value, std::string_view expected) {
  fail(Code::kUsage, "{}: {} = {}: expected {}, found {}", origin, spec.key,
       printable(to_toml(value)), expected, kind_of(value));
}

template <typename T>
T checked_number(const OptionSpec& spec, const OptionValue& value, std::string_view origin) {
  T number{};
  if (const auto* whole = std::get_if<std::int64_t>(&value)) {
    number = static_cast<T>(*whole);
  } else if (const auto* real = std::get_if<double>(&value); real && std::is_same_v<T, double>) {
    number = static_cast<T>(*real);
  } else {
    fail_type(origin, spec, value, std::is_same_v<T, double> ? "a number" : "a whole number");
  }
  const auto as_double = static_cast<double>(number);
  // Written so that NaN fails too.
  if (!(as_double >= spec.low && as_double <= spec.high) || !std::isfinite(as_double)) {
    if (spec.high == kNoLimit) {
      fail(Code::kUsage, "{}: {} = {}: expected at least {}", origin, spec.key, to_toml(value),
           spec.low);
    }
    fail(Code::kUsage, "{}: {} = {}: expected {} to {}", origin, spec.key, to_toml(value), spec.low,
         spec.high);
  }
  return number;
}

template <typename T>
struct FieldType;
template <typename T>
struct FieldType<T Config::*> {
  using Type = T;
};
template <typename T>
struct FieldType<std::optional<T> Config::*> {
  using Type = T;
};

}  // namespace

bool OptionLayer::has(std::string_view key) const {
  for (const auto& [spec, value] : given) {
    if (spec->key == key) return true;
  }
  return false;
}

void OptionLayer::add(const OptionSpec& spec, const OptionValue& value) {
  given.emplace_back(&spec, value);
}

void set_option(Config& config, const OptionSpec& spec, const OptionValue& value,
                std::string_view origin) {
  std::visit(
      [&](auto field) {
        using T = typename FieldType<decltype(field)>::Type;
        if constexpr (std::is_same_v<T, bool>) {
          const bool* flag = std::get_if<bool>(&value);
          if (flag == nullptr) fail_type(origin, spec, value, "true or false");
          config.*field = *flag;
        } else if constexpr (std::is_same_v<T, std::string>) {
          const std::string* text = std::get_if<std::string>(&value);
          if (text == nullptr) fail_type(origin, spec, value, "text in quotes");
          const auto& choices = spec.choices;
          if (!choices.empty() &&
              std::find(choices.begin(), choices.end(), *text) == choices.end()) {
            const auto nearest = nearest_name(*text, choices);
            fail(Code::kUsage, "{}: {} = '{}': expected one of {}{}", origin, spec.key,
                 printable(*text), fmt::join(choices, ", "),
                 nearest ? fmt::format("; did you mean {}?", *nearest) : std::string());
          }
          config.*field = *text;
        } else {
          config.*field = checked_number<T>(spec, value, origin);
        }
      },
      spec.field);
}

OptionValue get_option(const Config& config, const OptionSpec& spec) {
  return std::visit(
      [&](auto field) -> OptionValue {
        const auto& value = config.*field;
        using T = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::optional<std::int64_t>> ||
                      std::is_same_v<T, std::optional<double>>) {
          if (!value) fail(Code::kInternal, "option {} is not resolved", spec.key);
          return *value;
        } else {
          return value;
        }
      },
      spec.field);
}

std::string to_toml(const OptionValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *whole);
  if (const auto* real = std::get_if<double>(&value)) {
    // fmt prints the shortest text that reads back to the same double; TOML tells 1.0 from 1.
    std::string text = fmt::format("{}", *real);
    if (text.find_first_of(".en") == std::string::npos) text += ".0";
    return text;
  }
  std::string out = "\"";
  for (const char c : std::get<std::string>(value)) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string to_toml(const Config& config) {
  std::string out;
  std::string_view group;
  for (const OptionSpec& spec : option_table()) {
    if (spec.group != group) {
      group = spec.group;
      out += fmt::format("{}# {}\n", out.empty() ? "" : "\n", group);
    }
    out += fmt::format("{} = {}\n", spec.key, to_toml(get_option(config, spec)));
  }
  return out;
}

Json to_json(const Config& config) {
  Json json = Json::object();
  for (const OptionSpec& spec : option_table()) {
    std::visit([&](const auto& value) { json[spec.key] = value; }, get_option(config, spec));
  }
  return json;
}

StoredConfig from_json(const Json& json, std::string origin) {
  StoredConfig stored{{std::move(origin), {}, true}, {}};
  for (const auto& [key, value] : json.items()) {
    const OptionSpec* spec = find_option(key);
    if (spec == nullptr) {
      stored.unknown.push_back(key);
      continue;
    }
    OptionValue option;
    if (value.is_boolean()) {
      option = value.get<bool>();
    } else if (value.is_number_integer()) {
      option = value.get<std::int64_t>();
    } else if (value.is_number_float()) {
      option = value.get<double>();
    } else if (value.is_string()) {
      option = value.get<std::string>();
    } else {
      fail(Code::kCorrupt, "{}: configuration: {} holds {}, expected one value",
           stored.layer.origin, key, value.type_name());
    }
    stored.layer.add(*spec, option);
  }
  return stored;
}

bool is_training_config(const Json& config) {
  return config.is_object() && config.contains("derived") && config.contains("arch") &&
         config.contains("batch-size") && config.contains("seed");
}

std::string device_kind_of(const Json& config) {
  const auto text = [](const Json& json) -> std::string {
    const auto found = json.find("device");
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
  };
  if (const auto derived = config.find("derived"); derived != config.end()) {
    if (std::string kind = text(*derived); !kind.empty()) return kind;
  }
  const std::string device = text(config);
  return device == "auto" ? "" : device.substr(0, device.find(':'));
}

std::vector<ConfigDifference> compare_configs(const Config& before, const Config& after) {
  std::vector<ConfigDifference> differences;
  const bool constant = before.schedule == "constant" && after.schedule == "constant";
  for (const OptionSpec& spec : option_table()) {
    if (spec.effect == Effect::kStart) continue;
    const OptionValue a = get_option(before, spec), b = get_option(after, spec);
    if (a == b) continue;
    const bool bits =
        spec.effect == Effect::kBits || (spec.effect == Effect::kHorizon && !constant);
    differences.push_back({spec.key, to_toml(a), to_toml(b), bits});
  }
  return differences;
}

}  // namespace reprise::experiment
