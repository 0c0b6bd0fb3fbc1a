// The only file that includes toml++.
#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/nearest_name.h"
#include "experiment/option_table.h"

#include <toml++/toml.h>

namespace reprise::experiment {
namespace {

OptionValue scalar(const toml::node& node, std::string_view place, std::string_view key) {
  if (const auto* flag = node.as_boolean()) return flag->get();
  if (const auto* whole = node.as_integer()) return whole->get();
  if (const auto* real = node.as_floating_point()) return real->get();
  if (const auto* text = node.as_string()) return text->get();
  fail(Code::kUsage, "{}: {}: expected one value: true or false, a number, or text in quotes",
       place, key);
}

}  // namespace

OptionLayer read_config_file(const std::string& path) {
  const std::string text = read_text(path, 1U << 20);
  toml::table table;
  try {
    table = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    fail(Code::kUsage, "{}:{}: {}", path, error.source().begin.line, error.description());
  }
  OptionLayer layer{path, {}};
  for (const auto& [name, node] : table) {
    const std::string key(name.str());
    const std::string place = fmt::format("{}:{}", path, node.source().begin.line);
    const OptionSpec* spec = find_option(key);
    if (spec == nullptr) {
      // People write snake_case by habit; the nearest name is the one with hyphens then.
      const auto nearest = nearest_name(key, option_keys());
      fail(Code::kUsage, "{}: unknown key '{}'{}", place, printable(key),
           nearest ? fmt::format("; did you mean {}?", *nearest)
                   : std::string("; train --print-config prints every key"));
    }
    layer.add(*spec, scalar(node, place, key));
  }
  return layer;
}

}  // namespace reprise::experiment
