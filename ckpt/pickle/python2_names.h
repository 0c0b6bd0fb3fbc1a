// How Python 2 named modules and what moved between them: pickles of protocol 2 and
// below carry these names (Python's Lib/_compat_pickle.py).
#pragma once

#include <string_view>

namespace reprise::pickle {

struct GlobalName {
  std::string_view module;
  std::string_view name;
};

// The Python 3 name of what Python 2 called `old`.
GlobalName python3_name(GlobalName old);

}  // namespace reprise::pickle
