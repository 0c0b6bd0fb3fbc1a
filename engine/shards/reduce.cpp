#include "engine/shards/reduce.h"

#include "engine/distributed/device_exchange.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>

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
void add(at::Tensor& sum, const at::Tensor& piece, bool piece_first) {
  if (piece_first) {
    at::add_out(sum, piece, sum);
  } else {
    sum.add_(piece);
  }
}

void add_piece(std::span<std::byte> target, std::span<const std::byte> piece, bool piece_first) {
  const auto tensor = [](const std::byte* bytes, std::size_t size) {
    return at::from_blob(const_cast<std::byte*>(bytes),
                         {static_cast<std::int64_t>(size / sizeof(float))}, at::kFloat);
  };
  at::Tensor sum = tensor(target.data(), target.size());
  add(sum, tensor(piece.data(), piece.size()), piece_first);
}

// The way of halving. Up: `add(partner, keep, give)` for each half that a partner takes while this
// rank adds the partner's to the one it keeps; then back: `gather(partner, kept, given)` fills in
// what was given away.
template <typename Add, typename Gather>
void halve(std::int64_t count, int rank, int world, const Add& add, const Gather& gather) {
  std::vector<std::pair<Range, Range>> cuts;  // per distance: mine, my partner's
  Range mine{0, count};
  for (int distance = 1; distance < world; distance *= 2) {
    auto [keep, give] = halves(mine);
    if ((rank & distance) != 0) std::swap(keep, give);
    add(rank ^ distance, keep, give);
    cuts.emplace_back(keep, give);
    mine = keep;
  }
  int distance = world / 2;
  for (auto cut = cuts.rbegin(); cut != cuts.rend(); ++cut, distance /= 2) {
    gather(rank ^ distance, cut->first, cut->second);
  }
}

void reduce_in_memory(const at::Tensor& flat, Communicator& communicator) {
  float* values = flat.mutable_data_ptr<float>();
  halve(
      flat.numel(), communicator.rank(), communicator.world(),
      [&](int partner, Range keep, Range give) {
        const std::span<std::byte> kept = bytes_of(values, keep);
        communicator.exchange_pieces(partner, bytes_of(values, give), kept.size(),
                                     [&](std::size_t offset, std::span<const std::byte> piece) {
                                       add_piece(kept.subspan(offset, piece.size()), piece,
                                                 partner < communicator.rank());
                                     });
      },
      [&](int partner, Range kept, Range given) {
        communicator.exchange(partner, bytes_of(values, kept), bytes_of(values, given));
      });
}

void reduce_on_device(const at::Tensor& flat, const Communicator& communicator,
                      DeviceExchange& devices) {
  // Of whichever thread this is; a new one stands on the first GPU.
  const c10::DeviceGuard here(flat.device());
  const auto part = [&](Range range) { return flat.narrow(0, range.first, range.count); };
  halve(
      flat.numel(), communicator.rank(), communicator.world(),
      [&](int partner, Range keep, Range give) {
        at::Tensor sum = part(keep);
        const at::Tensor piece = at::empty_like(sum);
        devices.exchange(partner, part(give), piece);
        add(sum, piece, partner < communicator.rank());
      },
      [&](int partner, Range kept, Range given) {
        devices.exchange(partner, part(kept), part(given));
      });
}

}  // namespace

void reduce_over_ranks(at::Tensor& flat, Communicator& communicator) {
  if (communicator.world() == 1) return;
  DeviceExchange* devices = communicator.device_exchange();
  if (devices != nullptr && devices->device() == flat.device()) {
    reduce_on_device(flat, communicator, *devices);
    return;
  }
  const at::Tensor host = flat.is_cpu() ? flat : flat.cpu();
  reduce_in_memory(host, communicator);
  if (!flat.is_cpu()) flat.copy_(host);
}

}  // namespace reprise::engine
