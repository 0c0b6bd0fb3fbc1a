#include "engine/shards/reduce.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace reprise::engine {
namespace {

// Small enough to stay in the second-level cache between arriving and being added.
constexpr std::int64_t kPieceElements = std::int64_t{1} << 18;

// Every rank owns an aligned range of at most this many neighbours; see exchange order below.
struct Range {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

std::span<std::byte> bytes_of(float* flat, Range range) {
  return {reinterpret_cast<std::byte*>(flat + range.first),
          static_cast<std::size_t>(range.count) * sizeof(float)};
}

// The lower and the upper half, cut at a cache line.
std::pair<Range, Range> halves(Range whole) {
  const std::int64_t lower = std::min(whole.count, (whole.count / 2 + 15) / 16 * 16);
  return {{whole.first, lower}, {whole.first + lower, whole.count - lower}};
}

}  // namespace

void reduce_over_ranks(at::Tensor& flat, Communicator& communicator, WorkerPool& pool) {
  const int world = communicator.world();
  if (world == 1) return;
  at::Tensor host = flat.is_cpu() ? flat : flat.cpu();
  float* values = host.mutable_data_ptr<float>();
  std::vector<float> arrived(static_cast<std::size_t>((host.numel() + 1) / 2 + 16));

  std::vector<std::pair<Range, Range>> cuts;  // per distance: mine, my partner's
  Range mine{0, host.numel()};
  for (int distance = 1; distance < world; distance *= 2) {
    const int partner = communicator.rank() ^ distance;
    auto [keep, give] = halves(mine);
    if ((communicator.rank() & distance) != 0) std::swap(keep, give);
    const Range incoming{0, keep.count};
    communicator.exchange(partner, bytes_of(values, give), bytes_of(arrived.data(), incoming));
    const auto pieces =
        static_cast<std::size_t>((keep.count + kPieceElements - 1) / kPieceElements);
    pool.run(pieces, [&](std::size_t piece) {
      const std::int64_t first = static_cast<std::int64_t>(piece) * kPieceElements;
      const std::int64_t last = std::min(first + kPieceElements, keep.count);
      float* target = values + keep.first;
      for (std::int64_t i = first; i < last; ++i) {
        target[i] += arrived[static_cast<std::size_t>(i)];
      }
    });
    cuts.emplace_back(keep, give);
    mine = keep;
  }
  int distance = world / 2;
  for (auto cut = cuts.rbegin(); cut != cuts.rend(); ++cut, distance /= 2) {
    communicator.exchange(communicator.rank() ^ distance, bytes_of(values, cut->first),
                          bytes_of(values, cut->second));
  }
  if (!flat.is_cpu()) flat.copy_(host);
}

}  // namespace reprise::engine
