#include "ckpt/base/command_line.h"

#include "ckpt/base/command_help.h"
#include "ckpt/base/error.h"
#include "ckpt/base/nearest_name.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/version.h"

// The only file of the torch-free binaries that includes CLI11: it costs seconds to compile.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <new>
#include <system_error>
#include <type_traits>

namespace reprise {
namespace {

template <typename T>
struct Element {
  using Type = T;
};
template <typename T>
struct Element<std::optional<T>> {
  using Type = T;
};
template <typename T>
struct Element<std::vector<T>> {
  using Type = T;
};
template <typename T>
constexpr bool kIsVector =
    !std::is_same_v<T, std::string> && (std::is_same_v<T, std::vector<std::string>> ||
                                        std::is_same_v<T, std::vector<std::filesystem::path>>);

template <typename T>
T convert(std::string_view name, const std::string& text) {
  if constexpr (std::is_same_v<T, std::filesystem::path>) {
    // What a script makes of a variable that is not set.
    if (text.empty()) fail(Code::kUsage, "{}: is empty, a file or directory was expected", name);
    return T(text);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return T(text);
  } else if constexpr (std::is_same_v<T, bool>) {
    if (text == "true" || text == "on" || text == "yes" || text == "1") return true;
    if (text == "false" || text == "off" || text == "no" || text == "0") return false;
    fail(Code::kUsage, "{}: '{}' is neither true nor false", name, printable(text));
  } else {
    T value{};
    // from_chars takes no leading '+', which people write in front of numbers.
    const char* first = text.data() + (text.starts_with('+') && text.size() > 1 ? 1 : 0);
    const char* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(first, last, value);
    constexpr std::string_view kind = std::is_floating_point_v<T> ? "number"
                                      : std::is_unsigned_v<T>     ? "whole number of at least 0"
                                                                  : "whole number";
    if (error == std::errc::result_out_of_range) {
      fail(Code::kUsage, "{}: {} is out of range", name, printable(text));
    }
    if (error != std::errc() || end != last) {
      fail(Code::kUsage, "{}: '{}' is not a {}", name, printable(text), kind);
    }
    return value;
  }
}

void assign(const OptionTarget& target, std::string_view name,
            const std::vector<std::string>& texts) {
  std::visit(
      [&](auto* place) {
        using T = std::remove_pointer_t<decltype(place)>;
        if constexpr (kIsVector<T>) {
          place->clear();
          for (const std::string& text : texts) {
            place->push_back(convert<typename Element<T>::Type>(name, text));
          }
        } else {
          *place = convert<typename Element<T>::Type>(name, texts.back());
        }
      },
      target);
}

bool is_vector(const OptionTarget& target) {
  return std::visit([](auto* place) { return kIsVector<std::remove_pointer_t<decltype(place)>>; },
                    target);
}

std::string_view default_placeholder(const OptionTarget& target) {
  return std::visit(
      [](auto* place) -> std::string_view {
        using T = typename Element<std::remove_pointer_t<decltype(place)>>::Type;
        if constexpr (std::is_same_v<T, std::filesystem::path>) return "PATH";
        if constexpr (std::is_same_v<T, std::string>) return "TEXT";
        if constexpr (std::is_same_v<T, bool>) return "true|false";
        if constexpr (std::is_floating_point_v<T>) return "X";
        return "N";
      },
      target);
}

// What a target holds before anything is parsed, as it would be given.
std::string standard_of(const OptionTarget& target) {
  return std::visit(
      [](auto* place) -> std::string {
        using T = std::remove_pointer_t<decltype(place)>;
        if constexpr (std::is_same_v<T, std::filesystem::path>) return place->string();
        if constexpr (std::is_same_v<T, std::string>) return *place;
        if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
          return fmt::format("{}", *place);
        }
        return {};
      },
      target);
}

std::string display_name(const std::string& names) { return names.substr(names.rfind(',') + 1); }

std::vector<std::string> split_names(std::string_view names) {
  std::vector<std::string> out;
  while (true) {
    const std::size_t comma = std::min(names.find(','), names.size());
    out.emplace_back(names.substr(0, comma));
    if (comma == names.size()) return out;
    names.remove_prefix(comma + 1);
  }
}

std::string suggestion(std::string_view name, const std::vector<std::string>& known) {
  const auto nearest = nearest_name(name, known);
  return nearest ? fmt::format("; did you mean {}?", *nearest) : std::string();
}

std::size_t terminal_width() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return std::clamp<std::size_t>(size.ws_col, 60, 100);
}

bool wants_color(const std::string& setting, int descriptor) {
  if (setting != "auto") return setting == "always";
  const char* no_color = std::getenv("NO_COLOR");
  return isatty(descriptor) == 1 && (no_color == nullptr || *no_color == '\0');
}

}  // namespace

Option::Option(Kind kind, std::string names, OptionTarget target, std::string help)
    : kind_(kind),
      names_(std::move(names)),
      target_(target),
      help_(std::move(help)),
      placeholder_(default_placeholder(target)),
      standard_(kind == Kind::kValue ? standard_of(target) : std::string()) {
  bool* const* on = std::get_if<bool*>(&target);
  if (kind == Kind::kToggle && on != nullptr) standard_ = split_names(names_)[**on ? 0 : 1];
}

Option& Command::add(Option option) { return options_.emplace_back(std::move(option)); }

void Command::rest(std::string name, std::vector<std::string>& target, std::string help) {
  rest_name_ = std::move(name);
  rest_help_ = std::move(help);
  rest_ = &target;
}

Command& Command::about(std::string text) { return about_.push_back(std::move(text)), *this; }

Command& Command::example(std::string line, std::string meaning) {
  example_ = std::move(line);
  example_meaning_ = std::move(meaning);
  return *this;
}

Command& Command::exit_code(int code, std::string meaning) {
  exit_codes_[code] = std::move(meaning);
  return *this;
}

Command& Command::on_run(std::function<int(Io&)> body) { return body_ = std::move(body), *this; }

CommandLine::CommandLine(std::string program, std::string summary)
    : program_(std::move(program)), summary_(std::move(summary)), place_(program_) {
  add_common(common_);
}

void CommandLine::add_common(std::deque<Option>& options) {
  const auto add = [&](Option::Kind kind, std::string names, OptionTarget target,
                       std::string help) -> Option& {
    Option option(kind, std::move(names), target, std::move(help));
    return options.emplace_back(std::move(option.group("common options")));
  };
  using Kind = Option::Kind;
  add(Kind::kFlag, "--json", &io_.json, "print one JSON document on stdout");
  add(Kind::kFlag, "-q,--quiet", &io_.quiet, "say nothing on stderr but warnings and errors");
  add(Kind::kFlag, "-v,--verbose", &io_.verbose, "say more on stderr");
  add(Kind::kValue, "--color", &color_, "colours")
      .placeholder("WHEN")
      .choices({"auto", "always", "never"});
  add(Kind::kValue, "--jobs", &io_.jobs, "threads to use; 0: one a core");
  add(Kind::kFlag, "-h,--help", &help_, "print this help");
  add(Kind::kFlag, "--version", &version_, "print the version");
}

Command& CommandLine::command(std::string name, std::string summary) {
  return commands_.emplace_back(Command(std::move(name), std::move(summary)));
}

Command& CommandLine::program() {
  std::string summary = summary_;
  if (summary.ends_with('.')) summary.pop_back();
  return only_.emplace(Command(program_, std::move(summary)));
}

const Command* CommandLine::find(std::string_view name) const {
  for (const Command& command : commands_) {
    if (command.name_ == name) return &command;
  }
  return nullptr;
}

std::vector<std::string> CommandLine::command_names() const {
  std::vector<std::string> names;
  for (const Command& command : commands_) names.push_back(command.name_);
  return names;
}

void CommandLine::apply_common() {
  io_.color_out = wants_color(color_, STDOUT_FILENO);
  io_.color_err = wants_color(color_, STDERR_FILENO);
  if (io_.jobs > kMostJobs) fail(Code::kUsage, "--jobs {}: at most {}", io_.jobs, kMostJobs);
}

namespace {

// "--name=" has an empty value, for which CLI11 would take the next argument: in a script, where a
// variable is empty, another option.
std::vector<std::string> with_empty_values(const std::vector<std::string>& arguments,
                                           const std::vector<std::string>& taking_values) {
  std::vector<std::string> out;
  bool options = true;
  for (const std::string& argument : arguments) {
    options = options && argument != "--";
    const std::string name = argument.substr(0, argument.find('='));
    if (options && name.size() + 1 == argument.size() &&
        std::find(taking_values.begin(), taking_values.end(), name) != taking_values.end()) {
      out.insert(out.end(), {name, ""});
    } else {
      out.push_back(argument);
    }
  }
  return out;
}

}  // namespace

void CommandLine::parse(Command& command, std::vector<std::string> arguments) {
  if (command.rest_ != nullptr) {
    const auto separator = std::find(arguments.begin(), arguments.end(), "--");
    if (separator != arguments.end()) {
      command.rest_->assign(separator + 1, arguments.end());
      arguments.erase(separator, arguments.end());
    }
  }
  CLI::App parser;
  parser.set_help_flag();
  parser.allow_extras();
  std::vector<std::string> known;
  std::vector<std::pair<Option*, CLI::Option*>> added;
  const auto add = [&](Option& option) {
    if (option.kind_ == Option::Kind::kToggle) {
      const std::vector<std::string> pair = split_names(option.names_);
      known.insert(known.end(), pair.begin(), pair.end());
      const std::string spec = pair[0] + ",!" + pair[1];
      added.emplace_back(&option, parser.add_flag(spec));
    } else if (option.kind_ == Option::Kind::kFlag) {
      for (std::string& name : split_names(option.names_)) known.push_back(std::move(name));
      added.emplace_back(&option, parser.add_flag(option.names_));
    } else {
      const bool positional = option.kind_ == Option::Kind::kPositional;
      if (!positional) {
        for (std::string& name : split_names(option.names_)) known.push_back(std::move(name));
      }
      CLI::Option* parsed = parser.add_option(option.names_);
      if (positional && is_vector(option.target_)) {
        parsed->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args();
      } else {
        parsed->expected(1);
        if (!positional) parsed->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
      }
      added.emplace_back(&option, parsed);
    }
  };
  for (Option& option : command.options_) add(option);
  for (Option& option : common_) add(option);

  std::vector<std::string> taking_values;
  for (const auto& [option, parsed] : added) {
    if (option->kind_ != Option::Kind::kValue) continue;
    for (std::string& name : split_names(option->names_)) taking_values.push_back(std::move(name));
  }
  arguments = with_empty_values(arguments, taking_values);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them from the back
  try {
    parser.parse(arguments);
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();
    if (!what.ends_with("missing")) fail(Code::kUsage, "{}", what);
    fail(Code::kUsage, "{} needs a value", what.substr(0, what.find(':')));
  } catch (const CLI::ParseError& error) {
    fail(Code::kUsage, "{}", error.what());
  }
  for (auto& [option, parsed] : added) {
    if (parsed->count() == 0) continue;
    const std::string name = display_name(option->names_);
    std::vector<std::string> values = parsed->results();
    if (option->kind_ == Option::Kind::kFlag) values = {"true"};
    if (!option->choices_.empty()) {
      for (const std::string& value : values) {
        if (std::find(option->choices_.begin(), option->choices_.end(), value) ==
            option->choices_.end()) {
          fail(Code::kUsage, "{}: '{}' is none of {}{}", name, printable(value),
               fmt::join(option->choices_, ", "), suggestion(value, option->choices_));
        }
      }
    }
    assign(option->target_, name, values);
  }
  if (help_ || version_) return;
  // What is missing is said only after what is misspelt: the typo is why it is missing.
  for (const std::string& extra : parser.remaining()) {
    if (extra == "--") continue;  // CLI11 hands back the mark that ended the options
    if (extra.starts_with('-') && extra.size() > 1) {
      fail(Code::kUsage, "unknown option {}{}", printable(extra),
           suggestion(extra.substr(0, extra.find('=')), known));
    }
    fail(Code::kUsage, "unexpected argument '{}'{}", printable(extra),
         command.rest_ != nullptr ? "; put -- before the command to run" : "");
  }
  for (auto& [option, parsed] : added) {
    if (option->required_ && parsed->count() == 0) {
      fail(Code::kUsage, "{} is missing", display_name(option->names_));
    }
  }
  if (command.rest_ != nullptr && command.rest_->empty()) {
    fail(Code::kUsage, "the command to run is missing; put it after --");
  }
}

int CommandLine::run_command(Command& command, const std::vector<std::string>& arguments) {
  parse(command, arguments);
  if (help_) {
    io_.write(CommandHelp(*this, terminal_width()).command(command));
    return 0;
  }
  if (version_) {
    io_.print("{} {}\n", program_, version());
    return 0;
  }
  apply_common();
  return command.body_(io_);
}

int CommandLine::run_guarded(const std::vector<std::string>& arguments) {
  if (arguments.size() == 1 && arguments[0] == "--describe") {
    io_.write(CommandHelp(*this).description());
    return 0;
  }
  if (only_) return run_command(*only_, arguments);

  // Options common to all may stand before the command; they are parsed with it.
  std::size_t at = 0;
  while (at < arguments.size() && arguments[at].starts_with('-')) {
    at += arguments[at] == "--jobs" || arguments[at] == "--color" ? 2u : 1u;
  }
  if (at >= arguments.size()) {
    Command none(program_, summary_);
    parse(none, arguments);
    if (version_) {
      io_.print("{} {}\n", program_, version());
      return 0;
    }
    if (help_) {
      io_.write(CommandHelp(*this, terminal_width()).overview());
      return 0;
    }
    fail(Code::kUsage, "a command is missing: one of {}", fmt::join(command_names(), ", "));
  }
  std::vector<std::string> others = arguments;
  std::string name = arguments[at];
  others.erase(others.begin() + static_cast<std::ptrdiff_t>(at));
  if (name == "help" && find("help") == nullptr) {
    if (at >= others.size()) {
      io_.write(CommandHelp(*this, terminal_width()).overview());
      return 0;
    }
    name = others[at];
    others = {"--help"};
  }
  const Command* found = find(name);
  if (found == nullptr) {
    fail(Code::kUsage, "unknown command '{}'{}", printable(name),
         suggestion(name, command_names()));
  }
  place_ = program_ + " " + name;
  return run_command(const_cast<Command&>(*found), others);
}

int CommandLine::run(int argc, const char* const* argv) {
  const auto report = [&](Code code, std::string_view message) {
    std::fflush(stdout);
    const std::string word = io_.color_err ? fmt::format("\033[1;31m{}\033[0m", to_string(code))
                                           : std::string(to_string(code));
    std::string text = fmt::format("{}: {}: {}\n", place_, word, message);
    if (code == Code::kUsage) text += fmt::format("{} --help says more\n", place_);
    std::fputs(text.c_str(), stderr);  // fmt::print would throw where stderr takes nothing
    return static_cast<int>(code);
  };
  try {
    const int code = run_guarded(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
    io_.flush();
    return code;
  } catch (const std::bad_alloc& error) {
    return report(code_of(error), "out of memory; use fewer --jobs or a machine with more memory");
  } catch (const std::exception& error) {
    const bool known = dynamic_cast<const Error*>(&error) != nullptr;
    const Code code = code_of(error);
    return report(code,
                  known || code != Code::kInternal
                      ? error.what()
                      : fmt::format("{}; please report it with the command line", error.what()));
  }
}

}  // namespace reprise
