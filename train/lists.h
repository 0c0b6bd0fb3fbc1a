// What `train --list` prints.
#pragma once

#include "ckpt/base/io.h"

#include <string>
#include <vector>

namespace reprise::train {

// arch, optimizer, schedule, data, mode.
const std::vector<std::string>& list_names();

// A name and a line of explanation each, or with --json {"<what>": [{name, about}]}.
// Errors: kInternal for a list that is not in list_names().
void print_list(const std::string& what, Io& io);

}  // namespace reprise::train
