// A text of each rank, on all of them.
#pragma once

#include "engine/distributed/communicator.h"

#include <string>
#include <string_view>
#include <vector>

namespace reprise::engine {

// In the order of ranks; every rank calls it and gets the same. Costs two rounds over all ranks.
// Errors: those of Communicator.
std::vector<std::string> gather_texts(Communicator& communicator, std::string_view mine);

}  // namespace reprise::engine
