#include "ckpt/base/command_help.h"

#include "ckpt/base/json.h"
#include "ckpt/base/version.h"

#include <fmt/format.h>

#include <algorithm>

namespace reprise {
namespace {

constexpr std::size_t kColumn = 26;  // where the explanation of an option begins

const std::map<int, std::string>& usual_exit_codes() {
  static const std::map<int, std::string> codes = {
      {0, "done"},
      {2, "bad command line or configuration"},
      {10, "not found"},
      {11, "I/O error, disk full"},
      {12, "corrupt or hostile file"},
      {13, "unsupported version or feature"},
      {70, "internal error (a bug of ours)"},
  };
  return codes;
}

// "-o,--output" as "-o, --output".
std::string spaced(std::string_view names) {
  std::string out;
  for (const char c : names) {
    out += c;
    if (c == ',') out += ' ';
  }
  return out;
}

// What stands behind an explanation: " (sgd, adam; default adam)". An empty choice is that of
// nothing given, which the explanation speaks of.
std::string in_brackets(std::vector<std::string> choices, const std::string& standard) {
  std::erase(choices, "");
  std::string out = fmt::format("{}", fmt::join(choices, ", "));
  if (!standard.empty()) out += fmt::format("{}default {}", out.empty() ? "" : "; ", standard);
  return out.empty() ? out : " (" + out + ")";
}

}  // namespace

std::string CommandHelp::wrapped(std::string_view text, std::size_t indent) const {
  std::string out;
  std::size_t column = indent;
  bool first = true;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (!first && column + 1 + word.size() > width_) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (!first) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    first = false;
  }
  return out;
}

std::string CommandHelp::usage(const Command& command) const {
  std::string out = line_.program_;
  if (!line_.only_) out += " " + command.name_;
  out += " [OPTIONS]";
  for (const Option& option : command.options_) {
    const bool many = std::holds_alternative<std::vector<std::string>*>(option.target_) ||
                      std::holds_alternative<std::vector<std::filesystem::path>*>(option.target_);
    if (option.kind_ == Option::Kind::kPositional) {
      const std::string name = option.names_ + (many ? "..." : "");
      out += option.required_ ? " " + name : " [" + name + "]";
    } else if (option.required_) {
      out += " " + option.names_.substr(option.names_.rfind(',') + 1) + " " + option.placeholder_;
    }
  }
  if (command.rest_ != nullptr) out += " -- " + command.rest_name_;
  return out;
}

std::string CommandHelp::option_list(const std::deque<Option>& options, bool positionals,
                                     std::string_view rest_name, std::string_view rest_help) const {
  std::vector<std::pair<std::string, std::string>> groups;  // heading, text
  const auto add = [&](std::string_view heading, const std::string& left, std::string_view help) {
    auto at = std::find_if(groups.begin(), groups.end(),
                           [&](const auto& group) { return group.first == heading; });
    if (at == groups.end()) at = groups.insert(at, {std::string(heading), ""});
    at->second += "  " + left;
    at->second += left.size() + 4 > kColumn ? "\n" + std::string(kColumn, ' ')
                                            : std::string(kColumn - 2 - left.size(), ' ');
    at->second += wrapped(help, kColumn) + "\n";
  };
  for (const Option& option : options) {
    if ((option.kind_ == Option::Kind::kPositional) != positionals) continue;
    std::string left = spaced(option.names_);
    if (option.kind_ == Option::Kind::kValue) left += " " + option.placeholder_;
    std::string help = option.help_;
    help += in_brackets(option.choices_, option.standard_);
    add(positionals ? "arguments" : option.group_, left, help);
  }
  if (!rest_name.empty()) add("arguments", "-- " + std::string(rest_name), rest_help);
  std::string out;
  for (const auto& [heading, text] : groups) out += "\n" + heading + ":\n" + text;
  return out;
}

std::string CommandHelp::command(const Command& command) const {
  std::string out = "usage: " + usage(command) + "\n\n" + wrapped(command.summary_ + ".", 0) + "\n";
  for (const std::string& paragraph : command.about_) out += "\n" + wrapped(paragraph, 0) + "\n";
  out += option_list(command.options_, true, command.rest_name_, command.rest_help_);
  out += option_list(command.options_, false);
  out += option_list(line_.common_, false);
  if (!command.example_.empty()) {
    out += "\nexample:\n  " + command.example_ + "\n";
    if (!command.example_meaning_.empty()) {
      out += "      " + wrapped(command.example_meaning_, 6) + "\n";
    }
  }
  std::map<int, std::string> codes = command.exit_codes_;
  codes.insert(usual_exit_codes().begin(), usual_exit_codes().end());
  out += "\nexit codes:\n";
  for (const auto& [code, meaning] : codes) {
    out += fmt::format("  {:<4}{}\n", code, wrapped(meaning, 6));
  }
  return out;
}

std::string CommandHelp::overview() const {
  std::string out = "usage: " + line_.program_ + " COMMAND [OPTIONS] ...\n\n" +
                    wrapped(line_.summary_, 0) + "\n\ncommands:\n";
  std::size_t longest = 0;
  for (const Command& command : line_.commands_) longest = std::max(longest, command.name_.size());
  for (const Command& command : line_.commands_) {
    out += fmt::format("  {:<{}}  {}\n", command.name_, longest,
                       wrapped(command.summary_, longest + 4));
  }
  out += option_list(line_.common_, false);
  const Command& first = line_.commands_.front();
  out += fmt::format("\nhelp of one command:\n  {0} {1} --help\n\nexample:\n  {2}\n\nexit codes:\n",
                     line_.program_, first.name_, first.example_);
  std::map<int, std::string> codes = usual_exit_codes();
  codes.emplace(1, "ran, and the answer is no");
  codes.emplace(14, "incomplete: the writer never committed");
  codes.emplace(15, "mismatch: a valid file for another model, run or world size");
  codes.emplace(75, "stopped by a signal after saving: start again to resume");
  for (const auto& [code, meaning] : codes) out += fmt::format("  {:<4}{}\n", code, meaning);
  return out;
}

std::string CommandHelp::description() const {
  const auto describe_options = [](const std::deque<Option>& options) {
    Json list = Json::array();
    constexpr const char* kKinds[] = {"positional", "value", "flag", "toggle"};
    for (const Option& option : options) {
      list.push_back({{"names", option.names_},
                      {"kind", kKinds[static_cast<std::size_t>(option.kind_)]},
                      {"placeholder", option.placeholder_},
                      {"help", option.help_},
                      {"choices", option.choices_},
                      {"default", option.standard_},
                      {"required", option.required_},
                      {"group", option.group_}});
    }
    return list;
  };
  Json commands = Json::array();
  const auto describe = [&](const Command& command) {
    std::map<int, std::string> codes = command.exit_codes_;
    codes.insert(usual_exit_codes().begin(), usual_exit_codes().end());
    Json exit_codes = Json::array();
    for (const auto& [code, meaning] : codes) {
      exit_codes.push_back({{"code", code}, {"meaning", meaning}});
    }
    commands.push_back({{"name", command.name_},
                        {"usage", usage(command)},
                        {"summary", command.summary_},
                        {"about", command.about_},
                        {"options", describe_options(command.options_)},
                        {"rest", command.rest_name_},
                        {"rest_help", command.rest_help_},
                        {"example", command.example_},
                        {"example_meaning", command.example_meaning_},
                        {"exit_codes", exit_codes}});
  };
  if (line_.only_) describe(*line_.only_);
  for (const Command& command : line_.commands_) describe(command);
  return dump_json({{"program", line_.program_},
                    {"version", version()},
                    {"summary", line_.summary_},
                    {"single", line_.only_.has_value()},
                    {"commands", commands},
                    {"common", describe_options(line_.common_)}},
                   2) +
         "\n";
}

}  // namespace reprise
