#include "engine/shards/reduce.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace reprise::engine {
namespace {

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

// The summand of the lower rank comes first, as in the tree of one process: the order does not
// change a number, but which of two NaNs is left, and an overflow of float16 is in the ledger.
void add_piece(std::span<std::byte> target, std::span<const std::byte> piece, bool piece_first) {
  const auto tensor = [](const std::byte* bytes, std::size_t size) {
    return at::from_blob(const_cast<std::byte*>(bytes),
                         {static_cast<std::int64_t>(size / sizeof(float))}, at::kFloat);
  };
  at::Tensor sum = tensor(target.data(), target.size());
  const at::Tensor other = tensor(piece.data(), piece.size());
  if (piece_first) {
    at::add_out(sum, other, sum);
  } else {
    sum.add_(other);
  }
}

}  // namespace

void reduce_over_ranks(at::Tensor& flat, Communicator& communicator) {
  const int world = communicator.world();
  if (world == 1) return;
  at::Tensor host = flat.is_cpu() ? flat : flat.cpu();
  float* values = host.mutable_data_ptr<float>();

  std::vector<std::pair<Range, Range>> cuts;  // per distance: mine, my partner's
  Range mine{0, host.numel()};
  for (int distance = 1; distance < world; distance *= 2) {
    const int partner = communicator.rank() ^ distance;
    auto [keep, give] = halves(mine);
    if ((communicator.rank() & distance) != 0) std::swap(keep, give);
    const std::span<std::byte> kept = bytes_of(values, keep);
    communicator.exchange_pieces(partner, bytes_of(values, give), kept.size(),
                                 [&](std::size_t offset, std::span<const std::byte> piece) {
                                   add_piece(kept.subspan(offset, piece.size()), piece,
                                             partner < communicator.rank());
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
