// The CUDA kernel on a real card: the bits of the CPU.
#include "repro/ledger/tensor_digest_cuda.h"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <random>

namespace reprise::ledger {
namespace {

TEST(DigestCuda, HasTheBitsOfTheCpu) {
  if (!cuda_is_there()) GTEST_SKIP() << "needs a CUDA device";
  std::mt19937_64 random(5);
  std::vector<std::byte> bytes((9u << 20) + 13);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  void* device = nullptr;
  ASSERT_EQ(cudaMalloc(&device, bytes.size()), cudaSuccess);
  ASSERT_EQ(cudaMemcpy(device, bytes.data(), bytes.size(), cudaMemcpyHostToDevice), cudaSuccess);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{65536}, std::size_t{65537}, bytes.size() - 1}) {
    for (const std::size_t offset : {0u, 1u}) {
      const std::int64_t shape[] = {static_cast<std::int64_t>(size)};
      const Bytes part = Bytes(bytes).subspan(offset, size);
      EXPECT_EQ(
          digest_on_cuda("x", DType::kUInt8, shape, static_cast<std::byte*>(device) + offset, size),
          digest_tensor({"x", DType::kUInt8, shape, part}))
          << size << " bytes at " << offset;
    }
  }
  cudaFree(device);
}

}  // namespace
}  // namespace reprise::ledger
