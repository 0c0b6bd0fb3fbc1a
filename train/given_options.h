// The option table on the command line: describes each option to a Command, and afterwards says
// which ones were given.
#pragma once

#include "ckpt/base/command_line.h"
#include "experiment/option_table.h"

#include <deque>

namespace reprise::train {

// Holds the places that parsed values go to, so it must outlive the command's run().
class GivenOptions {
 public:
  // Adds every option of the table to `command`.
  explicit GivenOptions(Command& command);
  GivenOptions(const GivenOptions&) = delete;
  GivenOptions& operator=(const GivenOptions&) = delete;

  // What the command line gave, and nothing else. Valid after parsing.
  experiment::OptionLayer layer() const;

 private:
  struct Slot {
    const experiment::OptionSpec* spec;
    std::variant<std::optional<bool>, std::optional<std::int64_t>, std::optional<double>,
                 std::optional<std::string>>
        value;
  };
  std::deque<Slot> slots_;  // stable addresses
};

}  // namespace reprise::train
