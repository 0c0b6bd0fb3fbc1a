// Help texts and the machine-readable description of a command line.
#pragma once

#include "ckpt/base/command_line.h"

#include <string>

namespace reprise {

// Renders a CommandLine, which must outlive it. Text is wrapped to `width` columns.
class CommandHelp {
 public:
  explicit CommandHelp(const CommandLine& line, std::size_t width = 80)
      : line_(line), width_(width) {}

  // The list of commands.
  std::string overview() const;
  std::string command(const Command& command) const;
  // Everything, as JSON: {program, version, summary, commands: [{name, summary, about, options:
  // [{names, kind, placeholder, help, choices, default, required, group}], example, exit_codes}]}.
  std::string description() const;

 private:
  std::string usage(const Command& command) const;
  std::string option_list(const std::deque<Option>& options, bool positionals,
                          std::string_view rest_name = {}, std::string_view rest_help = {}) const;
  std::string wrapped(std::string_view text, std::size_t indent) const;

  const CommandLine& line_;
  std::size_t width_;
};

}  // namespace reprise
