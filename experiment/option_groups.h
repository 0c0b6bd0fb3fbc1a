// The groups that the option table is made of, one function each.
#pragma once

#include "experiment/option_table.h"

#include <string>
#include <vector>

namespace reprise::experiment::options {

// Options under one heading of help and of printed files, in their order.
struct OptionGroup {
  std::string name;
  std::vector<OptionSpec> options;
};

OptionGroup what_to_train();
OptionGroup how_long();
OptionGroup optimizer();
OptionGroup modes_head_and_distill();
OptionGroup mode_dino();
OptionGroup randomness();
OptionGroup where();
OptionGroup start_from();
OptionGroup save();
OptionGroup evaluate();
OptionGroup run();

}  // namespace reprise::experiment::options
