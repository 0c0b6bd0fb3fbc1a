#include "engine/distributed/agree.h"

#include "ckpt/base/error.h"
#include "engine/distributed/gather_texts.h"

#include <string>
#include <vector>

namespace reprise::engine {
namespace {

void compare(const Json& first, const Json& other, int rank) {
  for (const auto& [key, value] : first.items()) {
    const auto found = other.find(key);
    if (found != other.end() && *found == value) continue;
    fail(
        Code::kMismatch,
        "the ranks were started with different options: {} is {} on rank 0 and {} on rank {}; give "
        "all ranks the same command line",
        key, dump_json(value), found == other.end() ? "missing" : dump_json(*found), rank);
  }
  for (const auto& [key, value] : other.items()) {
    if (first.contains(key)) continue;
    fail(Code::kMismatch,
         "the ranks were started with different options: {} is set on rank {} only; "
         "give all ranks the same command line",
         key, rank);
  }
}

}  // namespace

void require_equal_options(Communicator& communicator, const Json& options) {
  if (communicator.world() == 1) return;
  const std::vector<std::string> texts = gather_texts(communicator, dump_json(options));
  const Json first = parse_json(texts.front());
  for (std::size_t rank = 1; rank < texts.size(); ++rank) {
    compare(first, parse_json(texts[rank]), static_cast<int>(rank));
  }
}

}  // namespace reprise::engine
