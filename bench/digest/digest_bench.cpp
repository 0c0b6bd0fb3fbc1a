// Seconds of one read of a buffer by the tensor digest and by its peers, in turn: digest_bench
// [ROUNDS]. Each output line holds a round: digest and memcpy on one core; digest and a sum that
// only reads on all cores; and on a card, where one is there, digest and a copy of half of it
// (which reads and writes, so moves as many bytes).
#include "ckpt/base/parallel.h"
#include "repro/ledger/tensor_digest.h"

#ifdef REPRISE_HAS_CUDA
#include "repro/ledger/tensor_digest_cuda.h"

#include <cuda_runtime_api.h>
#endif

#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <thread>

namespace {

using namespace reprise;

constexpr std::size_t kBytes = 512u << 20;  // far over every cache
volatile std::uint64_t kept = 0;

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// What STREAM would call a read: eight sums, which the compiler makes vectors of.
std::uint64_t read_all(const std::uint64_t* words, std::size_t count) {
  std::uint64_t sums[8] = {};
  for (std::size_t i = 0; i + 8 <= count; i += 8) {
    for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + lane];
  }
  return std::accumulate(std::begin(sums), std::end(sums), std::uint64_t{0});
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::stoi(argv[1]) : 5;
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::uint64_t> data(kBytes / 8), copy(kBytes / 8);
  std::mt19937_64 random(1);
  for (std::uint64_t& word : data) word = random();
  const std::int64_t shape[] = {static_cast<std::int64_t>(data.size())};
  const ledger::TensorView view{"x", DType::kUInt64, shape, std::as_bytes(std::span(data))};

  for (int round = 0; round < rounds; ++round) {
    const double one = seconds([&] { ledger::digest_tensor(view, 1); });
    const double copied = seconds([&] { std::memcpy(copy.data(), data.data(), kBytes); });
    const double all = seconds([&] { ledger::digest_tensor(view, cores); });
    const double read = seconds([&] {
      std::vector<std::thread> threads;
      for (unsigned t = 0; t < cores; ++t) {
        threads.emplace_back([&, t] {
          const std::size_t begin = data.size() * t / cores, end = data.size() * (t + 1) / cores;
          kept = kept + read_all(data.data() + begin, end - begin);
        });
      }
      for (std::thread& thread : threads) thread.join();
    });
    std::printf("%.6f %.6f %.6f %.6f", one, copied, all, read);
#ifdef REPRISE_HAS_CUDA
    if (ledger::cuda_is_there()) {
      static void* device = nullptr;
      constexpr std::size_t kDeviceBytes = std::size_t{4} << 30;
      if (device == nullptr) {
        if (cudaMalloc(&device, kDeviceBytes) != cudaSuccess) return 11;
        cudaMemset(device, 7, kDeviceBytes);
      }
      const std::int64_t device_shape[] = {static_cast<std::int64_t>(kDeviceBytes)};
      const double gpu = seconds(
          [&] { ledger::digest_on_cuda("x", DType::kUInt8, device_shape, device, kDeviceBytes); });
      const double moved = seconds([&] {
        cudaMemcpy(device, static_cast<std::byte*>(device) + kDeviceBytes / 2, kDeviceBytes / 2,
                   cudaMemcpyDeviceToDevice);
        cudaDeviceSynchronize();
      });
      std::printf(" %.6f %.6f", gpu, moved);
    }
#endif
    std::printf("\n");
  }
  return 0;
}
