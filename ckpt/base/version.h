// The version of the suite, as --version prints it and as files record their writer.
#pragma once

#include <string_view>

namespace reprise {

// "0.1.0": semantic versioning, from the root CMakeLists.txt.
std::string_view version();

}  // namespace reprise
