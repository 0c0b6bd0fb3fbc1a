#include "ckpt/base/sha256_many.h"

#include "ckpt/base/sha256_lanes.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace reprise {

namespace {

using Next = std::function<std::optional<DigestJob>()>;
using Done = std::function<void(std::size_t id, const Digest& digest)>;

// One input under way.
struct Lane {
  DigestJob job;
  Sha256Chain chain;
  std::size_t done_bytes = 0;

  const std::byte* place() const { return job.bytes.data() + done_bytes; }
  std::size_t blocks_left() const { return (job.bytes.size() - done_bytes) / kSha256BlockBytes; }
  void advance(std::size_t blocks) { done_bytes += blocks * kSha256BlockBytes; }
};

// The blocks that are left, padding, and the digest.
Digest finish(Lane& lane) {
  const std::size_t blocks = lane.blocks_left();
  compress_one(lane.chain, lane.place(), blocks);
  lane.advance(blocks);

  // FIPS 180-4, 5.1.1: a one bit, zeros, and the length in bits, big-endian.
  std::byte tail[2 * kSha256BlockBytes] = {};
  const std::size_t rest = lane.job.bytes.size() - lane.done_bytes;
  if (rest > 0) std::memcpy(tail, lane.place(), rest);
  tail[rest] = std::byte{0x80};
  const std::size_t tail_bytes =
      rest + 9 <= kSha256BlockBytes ? kSha256BlockBytes : 2 * kSha256BlockBytes;
  const std::uint64_t bits = std::uint64_t{lane.job.bytes.size()} * 8;
  for (std::size_t i = 0; i < 8; ++i)
    tail[tail_bytes - 1 - i] = static_cast<std::byte>(bits >> (8 * i));
  compress_one(lane.chain, tail, tail_bytes / kSha256BlockBytes);

  Digest digest;
  for (std::size_t i = 0; i < digest.bytes.size(); ++i)
    digest.bytes[i] = static_cast<std::byte>(lane.chain.words[i / 4] >> (24 - 8 * (i % 4)));
  return digest;
}

// Sixteen at a time while there are enough: below half of that, pairs are faster.
void run_wide(std::vector<Lane>& lanes, const Next& next, const Done& done) {
  const auto fill = [&] {
    while (lanes.size() < kWideLanes) {
      auto job = next();
      if (!job) return;
      lanes.push_back({*job, {}, 0});
    }
  };
  for (fill(); lanes.size() > kWideLanes / 2; fill()) {
    Lane idle = lanes.front();  // empty places work on a copy, and are forgotten
    Sha256Chain* chains[kWideLanes];
    const std::byte* inputs[kWideLanes];
    std::size_t blocks = lanes.front().blocks_left();
    for (std::size_t i = 0; i < kWideLanes; ++i) {
      Lane& lane = i < lanes.size() ? lanes[i] : idle;
      chains[i] = &lane.chain;
      inputs[i] = lane.place();
      blocks = std::min(blocks, lane.blocks_left());
    }
    compress_wide(chains, inputs, blocks);
    for (Lane& lane : lanes) lane.advance(blocks);
    std::erase_if(lanes, [&](Lane& lane) {
      if (lane.blocks_left() > 0) return false;
      done(lane.job.id, finish(lane));
      return true;
    });
  }
}

void run_pairs(std::vector<Lane>& lanes, const Next& next, const Done& done) {
  const auto fill = [&] {
    while (lanes.size() < 2) {
      auto job = next();
      if (!job) return;
      lanes.push_back({*job, {}, 0});
    }
  };
  for (fill(); lanes.size() >= 2; fill()) {
    Lane& first = lanes[lanes.size() - 1];
    Lane& second = lanes[lanes.size() - 2];
    const std::size_t blocks = std::min(first.blocks_left(), second.blocks_left());
    compress_two({&first.chain, &second.chain}, {first.place(), second.place()}, blocks);
    first.advance(blocks);
    second.advance(blocks);
    std::erase_if(lanes, [&](Lane& lane) {
      if (lane.blocks_left() > 0 || (&lane != &first && &lane != &second)) return false;
      done(lane.job.id, finish(lane));
      return true;
    });
  }
  for (Lane& lane : lanes) done(lane.job.id, finish(lane));
}

}  // namespace

void sha256_many(const Next& next, const Done& done) {
  if (!has_sha_extensions()) {
    while (const auto job = next()) done(job->id, sha256(job->bytes));
    return;
  }
  std::vector<Lane> lanes;
  lanes.reserve(kWideLanes);
  if (has_wide_lanes()) run_wide(lanes, next, done);
  run_pairs(lanes, next, done);
}

}  // namespace reprise
