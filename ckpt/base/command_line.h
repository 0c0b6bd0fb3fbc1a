// The command line all binaries share: one description of commands and options, from which come
// parsing, help, exit codes and what completions and man pages are made of.
//
//   CommandLine app("ckpt", "Looks into checkpoints.");
//   auto options = std::make_shared<ShowOptions>();
//   Command& show = app.command("show", "Say what a checkpoint is");
//   show.positional("CKPT", options->checkpoint, "file, or reference such as runs/a/<best>");
//   show.flag("--all", options->all, "every field");
//   show.example("ckpt show runs/a/<best>");
//   show.on_run([options](Io& io) { return run(*options, io); });
//   return app.run(argc, argv);
//
// Options may stand before or after positionals; "--" ends options, or, where a command takes the
// rest(), begins it. A misspelt option or command is answered with the nearest one. A bad command
// line exits 2; an Error exits with its code; anything else that is thrown exits 70.
#pragma once

#include "ckpt/base/io.h"

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace reprise {

// Where a parsed value goes. A target keeps the default it has when it is described; an optional
// one tells "not given" from every value; a vector collects one value for each use.
using OptionTarget =
    std::variant<std::string*, std::filesystem::path*, int*, unsigned*, std::int64_t*,
                 std::uint64_t*, double*, bool*, std::vector<std::string>*,
                 std::vector<std::filesystem::path>*, std::optional<std::string>*,
                 std::optional<std::filesystem::path>*, std::optional<int>*,
                 std::optional<unsigned>*, std::optional<std::int64_t>*,
                 std::optional<std::uint64_t>*, std::optional<double>*, std::optional<bool>*>;

// One option, flag or positional. Made by Command; its target must outlive run().
class Option {
 public:
  Option& required() { return required_ = true, *this; }
  // For positionals, which are required otherwise.
  Option& optional() { return required_ = false, *this; }
  // The word for the value in help: "FILE", "N", "SECONDS".
  Option& placeholder(std::string word) { return placeholder_ = std::move(word), *this; }
  // Only these values; another one is refused with the nearest.
  Option& choices(std::vector<std::string> values) { return choices_ = std::move(values), *this; }
  // What holds when it is not given, as help says it. Known already of a target that is not empty;
  // this is for optional ones, whose value comes from elsewhere.
  Option& standard(std::string words) { return standard_ = std::move(words), *this; }
  // The heading in help under which it stands ("options" otherwise).
  Option& group(std::string heading) { return group_ = std::move(heading), *this; }

 private:
  friend class Command;
  friend class CommandLine;
  friend class CommandHelp;
  enum class Kind : std::uint8_t { kPositional, kValue, kFlag, kToggle };
  Option(Kind kind, std::string names, OptionTarget target, std::string help);

  Kind kind_;
  bool required_ = false;
  std::string names_;  // "-o,--output"; a toggle's are "--yes,--no"
  OptionTarget target_;
  std::string help_;
  std::string placeholder_;
  std::string group_ = "options";
  std::vector<std::string> choices_;
  std::string standard_;
};

// One command: `ckpt show`, or the whole of a binary that has no commands. Lives in its
// CommandLine, at a fixed address.
class Command {
 public:
  // `name` in capitals. A vector takes all that remain (at least one unless optional()).
  template <typename T>
  Option& positional(std::string name, T& target, std::string help) {
    return add(Option(Option::Kind::kPositional, std::move(name), &target, std::move(help)))
        .required();
  }
  // `names`: "--seed" or "-o,--output". A single-valued option given twice: the last one counts.
  template <typename T>
  Option& option(std::string names, T& target, std::string help) {
    return add(Option(Option::Kind::kValue, std::move(names), &target, std::move(help)));
  }
  // Present or not.
  Option& flag(std::string names, bool& target, std::string help) {
    return add(Option(Option::Kind::kFlag, std::move(names), &target, std::move(help)));
  }
  // A pair, such as --strict and --no-strict, of which the last given counts.
  template <typename T>  // bool or std::optional<bool>
  Option& toggle(std::string yes, std::string no, T& target, std::string help) {
    return add(Option(Option::Kind::kToggle, yes + "," + no, &target, std::move(help)));
  }
  // Everything after "--", untouched: the command line of another program.
  void rest(std::string name, std::vector<std::string>& target, std::string help);

  // More paragraphs of help, after the summary. Plain text; wrapped to the terminal.
  Command& about(std::string text);
  // The one example that help ends with: a command line, and what it does.
  Command& example(std::string line, std::string meaning = {});
  // What exit code `code` means here; 0, 2, 10, 11, 12, 13 and 70 are always listed.
  Command& exit_code(int code, std::string meaning);
  // What to do; the value is the exit code.
  Command& on_run(std::function<int(Io&)> body);

 private:
  friend class CommandLine;
  friend class CommandHelp;
  Command(std::string name, std::string summary)
      : name_(std::move(name)), summary_(std::move(summary)) {}
  Option& add(Option option);

  std::string name_;
  std::string summary_;
  std::deque<Option> options_;
  std::string rest_name_;
  std::string rest_help_;
  std::vector<std::string>* rest_ = nullptr;
  std::vector<std::string> about_;
  std::string example_;
  std::string example_meaning_;
  std::map<int, std::string> exit_codes_;
  std::function<int(Io&)> body_;
};

// The command line of one binary.
class CommandLine {
 public:
  CommandLine(std::string program, std::string summary);

  // Adds a command; help lists them in this order.
  Command& command(std::string name, std::string summary);
  // The binary itself as the only command, for one that has no commands.
  Command& program();

  // Parses, runs the command, maps what it throws to an exit code and flushes stdout. Does not
  // throw. `--help`, `--version` and `help COMMAND` are answered here; `--describe` prints the
  // description as JSON, which completions and man pages are generated from.
  int run(int argc, const char* const* argv);

 private:
  friend class CommandHelp;
  int run_guarded(const std::vector<std::string>& arguments);
  int run_command(Command& command, const std::vector<std::string>& arguments);
  void parse(Command& command, std::vector<std::string> arguments);
  const Command* find(std::string_view name) const;
  std::vector<std::string> command_names() const;
  void add_common(std::deque<Option>& options);
  void apply_common();

  std::string program_;
  std::string summary_;
  std::deque<Command> commands_;
  std::optional<Command> only_;
  std::deque<Option> common_;
  std::string color_ = "auto";
  bool help_ = false;
  bool version_ = false;
  bool describe_ = false;
  std::string place_;  // "repro diff", for messages
  Io io_;
};

}  // namespace reprise
