// The groups that the option table is made of, one function each.
#pragma once

#include "experiment/option_table.h"

#include <string>
#include <vector>

namespace reprise::experiment::options {

// Short, because the tables of the groups are made of them.
using C = Config;
using E = Effect;

// The modes that learn from labels or numbers of the data.
inline const std::vector<std::string> kLabels = {"supervised", "head", "distill"};

// The modes whose backbone learns, and is not made as another checkpoint's.
inline const std::vector<std::string> kOwnBackbone = {"supervised", "dino", "distill"};

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
