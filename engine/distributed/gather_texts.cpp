#include "engine/distributed/gather_texts.h"

#include <algorithm>
#include <cstdint>

namespace reprise::engine {

std::vector<std::string> gather_texts(Communicator& communicator, std::string_view mine) {
  const auto world = static_cast<std::size_t>(communicator.world());
  const std::uint64_t size = mine.size();
  std::vector<std::uint64_t> sizes(world);
  communicator.all_gather(std::as_bytes(std::span(&size, 1)),
                          std::as_writable_bytes(std::span(sizes)));
  const std::uint64_t largest = *std::ranges::max_element(sizes);
  std::string padded(mine);
  padded.resize(largest);
  std::string all(largest * world, '\0');
  if (largest > 0) {
    communicator.all_gather(std::as_bytes(std::span(padded)),
                            std::as_writable_bytes(std::span(all)));
  }
  std::vector<std::string> texts;
  for (std::size_t rank = 0; rank < world; ++rank) {
    texts.push_back(all.substr(rank * largest, sizes[rank]));
  }
  return texts;
}

}  // namespace reprise::engine
