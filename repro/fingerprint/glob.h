// Patterns for names of fields and paths.
#pragma once

#include <string_view>

namespace reprise::fingerprint {

// Whether `text` is described by `pattern`, in which '*' stands for any run of characters ('/'
// among them) and '?' for any one. Cost: at most the product of both lengths, whatever the pattern.
// Errors: none.
bool matches_glob(std::string_view pattern, std::string_view text);

}  // namespace reprise::fingerprint
