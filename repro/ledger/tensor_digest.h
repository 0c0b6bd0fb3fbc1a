// The digest of a tensor's bits at memory speed, for comparing runs update by update.
//
// It finds accidents, not forgeries: where somebody may want to deceive, use
// SHA-256 of the checkpoint and a signature. The definition, with test vectors, is
// docs/ledger-format.md. Threads, instruction sets and the GPU give the same bits.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/state/dtype.h"
#include "repro/ledger/digest_lanes.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::ledger {

// 128 bits; a value type.
struct TensorDigest {
  std::array<std::byte, 16> bytes{};
  std::string hex() const;  // 32 lower-case digits
  auto operator<=>(const TensorDigest&) const = default;
};

// One tensor to digest: its contiguous row-major little-endian values and what
// they mean. A view: nothing is owned.
struct TensorView {
  std::string_view name;
  DType dtype = DType::kFloat32;
  std::span<const std::int64_t> shape;
  Bytes bytes;
};

// Digests of tensors, in order. Work is cut at leaves, not at tensors, so one large
// tensor keeps all threads busy. `jobs` 0: one thread a core.
// Cost: one read of the bytes; about 1 us a tensor on top.
std::vector<TensorDigest> digest_tensors(std::span<const TensorView> tensors, unsigned jobs = 0);

TensorDigest digest_tensor(const TensorView& tensor, unsigned jobs = 0);

// One digest for a list of tensors, order and names included.
TensorDigest combine(std::span<const TensorDigest> digests);

// Pieces, for the GPU path and for tests.

// The lane sums of one leaf of at most kLeafBytes. `kernel` chooses the
// instruction set; kBest takes the widest that this CPU has.
enum class LaneKernel : std::uint8_t { kPortable, kAvx2, kAvx512, kBest };
bool supported(LaneKernel kernel);
Node digest_leaf(Bytes leaf, LaneKernel kernel = LaneKernel::kBest);
// The root over leaves in order: neighbours are joined, an odd last one moves up.
// No leaves (an empty tensor): the zero node.
Node join_leaves(std::vector<Node> leaves);
// Binds name, dtype and shape to the root.
TensorDigest bind(const TensorView& tensor, const Node& root);

}  // namespace reprise::ledger
