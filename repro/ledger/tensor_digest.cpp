#include "repro/ledger/tensor_digest.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/sha256.h"

#include <immintrin.h>

#include <algorithm>

namespace reprise::ledger {

namespace {

using Lanes = std::uint64_t[kLanes];

// One unit of work for a thread: long enough to pay for taking it (about 100 us).
constexpr std::uint64_t kLeavesPerTask = 16;

void add_stripes_portable(const std::byte* p, std::size_t stripes, Lanes& lanes) {
  for (std::size_t s = 0; s < stripes; ++s) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const auto word =
          load_little<std::uint64_t>(p + (s * kLanes + static_cast<std::size_t>(lane)) * 8);
      lanes[lane] += keyed_product(word, lane_key(lane) + s * kKeyStep);
      lanes[lane ^ 1] += word;
    }
  }
}

#if defined(__x86_64__)
// GCC 12 takes the deliberately undefined pass-through operand of its own AVX-512
// intrinsics for a mistake of the caller (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

__attribute__((target("avx2"), always_inline)) inline __m256i load_256(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

__attribute__((target("avx2"))) void add_stripes_avx2(const std::byte* p, std::size_t stripes,
                                                      Lanes& lanes) {
  std::uint64_t keys[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) keys[lane] = lane_key(lane);
  __m256i key0 = load_256(keys), key1 = load_256(keys + 4);
  __m256i sum0 = load_256(lanes), sum1 = load_256(lanes + 4);
  const __m256i step = _mm256_set1_epi64x(static_cast<long long>(kKeyStep));
  for (std::size_t s = 0; s < stripes; ++s, p += 64) {
    const __m256i x0 = load_256(p), x1 = load_256(p + 32);
    const __m256i v0 = _mm256_xor_si256(x0, key0), v1 = _mm256_xor_si256(x1, key1);
    // The neighbour lane gets the word itself: swap the 64-bit halves of each pair.
    sum0 = _mm256_add_epi64(sum0, _mm256_shuffle_epi32(x0, 0x4E));
    sum1 = _mm256_add_epi64(sum1, _mm256_shuffle_epi32(x1, 0x4E));
    sum0 = _mm256_add_epi64(sum0, _mm256_mul_epu32(v0, _mm256_srli_epi64(v0, 32)));
    sum1 = _mm256_add_epi64(sum1, _mm256_mul_epu32(v1, _mm256_srli_epi64(v1, 32)));
    key0 = _mm256_add_epi64(key0, step);
    key1 = _mm256_add_epi64(key1, step);
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), sum0);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes + 4), sum1);
}

__attribute__((target("avx512f"))) void add_stripes_avx512(const std::byte* p, std::size_t stripes,
                                                           Lanes& lanes) {
  std::uint64_t keys[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) keys[lane] = lane_key(lane);
  __m512i key = _mm512_loadu_si512(keys);
  __m512i sum = _mm512_loadu_si512(lanes);
  const __m512i step = _mm512_set1_epi64(static_cast<long long>(kKeyStep));
  for (std::size_t s = 0; s < stripes; ++s, p += 64) {
    const __m512i x = _mm512_loadu_si512(p);
    const __m512i v = _mm512_xor_si512(x, key);
    sum = _mm512_add_epi64(sum, _mm512_shuffle_epi32(x, _MM_PERM_BADC));
    sum = _mm512_add_epi64(sum, _mm512_mul_epu32(v, _mm512_srli_epi64(v, 32)));
    key = _mm512_add_epi64(key, step);
  }
  _mm512_storeu_si512(lanes, sum);
}
#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

LaneKernel best_kernel() {
  static const LaneKernel best = supported(LaneKernel::kAvx512) ? LaneKernel::kAvx512
                                 : supported(LaneKernel::kAvx2) ? LaneKernel::kAvx2
                                                                : LaneKernel::kPortable;
  return best;
}

void add_stripes(const std::byte* p, std::size_t stripes, Lanes& lanes, LaneKernel kernel) {
#if defined(__x86_64__)
  if (kernel == LaneKernel::kAvx512) return add_stripes_avx512(p, stripes, lanes);
  if (kernel == LaneKernel::kAvx2) return add_stripes_avx2(p, stripes, lanes);
#endif
  add_stripes_portable(p, stripes, lanes);
}

std::uint64_t leaf_count(std::uint64_t bytes) { return (bytes + kLeafBytes - 1) / kLeafBytes; }

// A run of leaves of one tensor.
struct Task {
  std::size_t tensor;
  std::uint64_t first_leaf;
};

TensorDigest truncate(const Digest& digest) {
  TensorDigest truncated;
  std::copy_n(digest.bytes.begin(), truncated.bytes.size(), truncated.bytes.begin());
  return truncated;
}

template <typename T>
void update_number(Sha256& hash, T value) {
  std::byte raw[sizeof value];
  store_little(raw, value);
  hash.update(Bytes(raw));
}

}  // namespace

std::string TensorDigest::hex() const { return to_hex(bytes); }

bool supported(LaneKernel kernel) {
#if defined(__x86_64__)
  if (kernel == LaneKernel::kAvx512) return __builtin_cpu_supports("avx512f") != 0;
  if (kernel == LaneKernel::kAvx2) return __builtin_cpu_supports("avx2") != 0;
#endif
  return kernel == LaneKernel::kPortable || kernel == LaneKernel::kBest;
}

Node digest_leaf(Bytes leaf, LaneKernel kernel) {
  if (leaf.size() > kLeafBytes) fail(Code::kInternal, "digest_leaf: more than one leaf");
  if (kernel == LaneKernel::kBest) kernel = best_kernel();
  Lanes lanes = {};
  const std::size_t whole = leaf.size() / 64;
  add_stripes(leaf.data(), whole, lanes, kernel);
  if (const Bytes rest = leaf.subspan(whole * 64); !rest.empty()) {
    // Words past the end are not there: unlike zero words they add nothing.
    std::byte last[64] = {};
    std::memcpy(last, rest.data(), rest.size());
    for (std::size_t i = 0; i * 8 < rest.size(); ++i) {
      const int lane = static_cast<int>(i);
      const auto word = load_little<std::uint64_t>(last + i * 8);
      lanes[lane] += keyed_product(word, lane_key(lane) + whole * kKeyStep);
      lanes[lane ^ 1] += word;
    }
  }
  return leaf_node(lanes);
}

Node join_leaves(std::vector<Node> nodes) {
  if (nodes.empty()) return {};
  for (std::size_t count = nodes.size(); count > 1; count = (count + 1) / 2) {
    for (std::size_t i = 0; i < count / 2; ++i) nodes[i] = join(nodes[2 * i], nodes[2 * i + 1]);
    if (count % 2 == 1) nodes[count / 2] = nodes[count - 1];
  }
  return nodes.front();
}

TensorDigest bind(const TensorView& tensor, const Node& root) {
  Sha256 hash;
  hash.update("reprise tensor digest 1\n");
  update_number(hash, static_cast<std::uint64_t>(tensor.name.size()));
  hash.update(tensor.name);
  hash.update(name(tensor.dtype)).update("\n");
  update_number(hash, static_cast<std::uint64_t>(tensor.shape.size()));
  for (const std::int64_t extent : tensor.shape) update_number(hash, extent);
  update_number(hash, static_cast<std::uint64_t>(tensor.bytes.size()));
  update_number(hash, root.a);
  update_number(hash, root.b);
  return truncate(hash.finish());
}

std::vector<TensorDigest> digest_tensors(std::span<const TensorView> tensors, unsigned jobs) {
  std::vector<std::vector<Node>> leaves(tensors.size());
  std::vector<Task> tasks;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const std::uint64_t count = leaf_count(tensors[t].bytes.size());
    leaves[t].resize(count);
    for (std::uint64_t first = 0; first < count; first += kLeavesPerTask)
      tasks.push_back({t, first});
  }
  // Small tensors are one task each; a thread takes many of them in a row, so that
  // starting threads pays only when there is enough to read.
  constexpr std::size_t kTasksPerTake = 8;
  const std::size_t takes = (tasks.size() + kTasksPerTake - 1) / kTasksPerTake;
  parallel_for(takes, jobs, [&](std::size_t take) {
    const std::size_t end = std::min(tasks.size(), (take + 1) * kTasksPerTake);
    for (std::size_t i = take * kTasksPerTake; i < end; ++i) {
      const Bytes bytes = tensors[tasks[i].tensor].bytes;
      std::vector<Node>& nodes = leaves[tasks[i].tensor];
      const std::uint64_t last =
          std::min<std::uint64_t>(nodes.size(), tasks[i].first_leaf + kLeavesPerTask);
      for (std::uint64_t leaf = tasks[i].first_leaf; leaf < last; ++leaf) {
        const std::uint64_t offset = leaf * kLeafBytes;
        nodes[leaf] = digest_leaf(
            bytes.subspan(offset, std::min<std::uint64_t>(kLeafBytes, bytes.size() - offset)));
      }
    }
  });

  std::vector<TensorDigest> digests;
  digests.reserve(tensors.size());
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    digests.push_back(bind(tensors[t], join_leaves(std::move(leaves[t]))));
  }
  return digests;
}

TensorDigest digest_tensor(const TensorView& tensor, unsigned jobs) {
  return digest_tensors({&tensor, 1}, jobs).front();
}

TensorDigest combine(std::span<const TensorDigest> digests) {
  Sha256 hash;
  hash.update("reprise tensor list 1\n");
  for (const TensorDigest& digest : digests) hash.update(digest.bytes);
  return truncate(hash.finish());
}

}  // namespace reprise::ledger
