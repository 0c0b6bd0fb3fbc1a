// How a difference between two fingerprints reads for a person.
#pragma once

#include "ckpt/base/json.h"

#include <string>
#include <string_view>

namespace reprise::fingerprint {

struct DifferenceText {
  std::string a, b;
};

// The two values of a field, fit to print: "(none)" where a side lacks it, of lists only the items
// that the other one does not have, of a command line only the options, digests by their first
// digits. O(n^2) in the length of lists, which are short. Errors: none.
DifferenceText text_of(std::string_view field, const Json& a, const Json& b);

}  // namespace reprise::fingerprint
