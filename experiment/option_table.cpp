#include "experiment/option_table.h"

#include "experiment/option_groups.h"

#include <fmt/format.h>

namespace reprise::experiment {
namespace {

std::vector<OptionSpec> make_table() {
  std::vector<OptionSpec> table;
  for (const options::OptionGroup& group :
       {options::what_to_train(), options::how_long(), options::optimizer(),
        options::modes_head_and_distill(), options::mode_dino(), options::randomness(),
        options::where(), options::start_from(), options::save(), options::evaluate(),
        options::run()}) {
    for (const OptionSpec& option : group.options) {
      table.push_back(option);
      table.back().group = group.name;
    }
  }
  return table;
}

}  // namespace

std::span<const OptionSpec> option_table() {
  static const std::vector<OptionSpec> table = make_table();
  return table;
}

const OptionSpec* find_option(std::string_view key) {
  for (const OptionSpec& spec : option_table()) {
    if (spec.key == key) return &spec;
  }
  return nullptr;
}

std::string standard_of(const OptionSpec& spec) {
  if (!spec.follows.empty()) return spec.follows;
  static const Config plain;
  const OptionValue value = get_option(plain, spec);
  if (const auto* on = std::get_if<bool>(&value)) return "--" + (*on ? spec.key : spec.off_name());
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return std::visit([](const auto& number) { return fmt::format("{}", number); }, value);
}

const std::vector<std::string>& option_keys() {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> out;
    for (const OptionSpec& spec : option_table()) out.push_back(spec.key);
    return out;
  }();
  return keys;
}

}  // namespace reprise::experiment
