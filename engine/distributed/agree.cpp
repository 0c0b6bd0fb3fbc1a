#include "engine/distributed/agree.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
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
  const std::string text = dump_json(options);
  const auto world = static_cast<std::size_t>(communicator.world());
  const std::uint64_t size = text.size();
  std::vector<std::uint64_t> sizes(world);
  communicator.all_gather(std::as_bytes(std::span(&size, 1)),
                          std::as_writable_bytes(std::span(sizes)));
  std::uint64_t largest = 0;
  for (const std::uint64_t one : sizes) largest = std::max(largest, one);
  std::string mine = text;
  mine.resize(largest, ' ');
  std::string all(largest * world, ' ');
  communicator.all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)));
  const std::string_view texts = all;
  const Json first = parse_json(texts.substr(0, largest));
  for (std::size_t rank = 1; rank < world; ++rank) {
    compare(first, parse_json(texts.substr(rank * largest, largest)), static_cast<int>(rank));
  }
}

}  // namespace reprise::engine
