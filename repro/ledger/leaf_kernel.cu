#include "repro/ledger/leaf_kernel.h"

#include "repro/ledger/digest_threads.h"

#include <cuda_runtime.h>

namespace reprise::ledger {
namespace {

constexpr std::uint32_t kThreads = 256;
static_assert(kThreads % (4 * kLanes) == 0, "a warp holds every lane four times");

// One block a leaf. Sums commute, so neither the order of warps nor that of atomics shows.
__global__ void leaf_nodes(const unsigned char* data, std::uint64_t bytes, bool aligned,
                           Node* nodes) {
  __shared__ unsigned long long lanes[kLanes];
  const std::uint64_t begin = blockIdx.x * kLeafBytes;
  const std::uint64_t size = bytes - begin < kLeafBytes ? bytes - begin : kLeafBytes;
  if (threadIdx.x < kLanes) lanes[threadIdx.x] = 0;
  __syncthreads();

  ThreadSums sums = sum_words(data + begin, size, aligned, threadIdx.x, blockDim.x);
  for (int distance = 16; distance >= kLanes; distance /= 2) {
    sums.products += __shfl_xor_sync(0xFFFFFFFFu, sums.products, distance);
    sums.words += __shfl_xor_sync(0xFFFFFFFFu, sums.words, distance);
  }
  if (threadIdx.x % 32 < kLanes) {
    const unsigned lane = threadIdx.x % kLanes;
    atomicAdd(&lanes[lane], static_cast<unsigned long long>(sums.products));
    atomicAdd(&lanes[lane ^ 1], static_cast<unsigned long long>(sums.words));
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    std::uint64_t all[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) all[lane] = lanes[lane];
    nodes[blockIdx.x] = leaf_node(all);
  }
}

}  // namespace

const char* leaf_nodes_on_cuda(const void* data, std::uint64_t bytes, Node* nodes) {
  const std::uint64_t count = (bytes + kLeafBytes - 1) / kLeafBytes;
  if (count == 0) return nullptr;
  void* device = nullptr;
  cudaError_t status = cudaMalloc(&device, count * sizeof(Node));
  if (status != cudaSuccess) return cudaGetErrorString(status);
  leaf_nodes<<<static_cast<unsigned>(count), kThreads>>>(
      static_cast<const unsigned char*>(data), bytes,
      reinterpret_cast<std::uintptr_t>(data) % 8 == 0, static_cast<Node*>(device));
  status = cudaGetLastError();
  if (status == cudaSuccess) {
    status = cudaMemcpy(nodes, device, count * sizeof(Node), cudaMemcpyDeviceToHost);
  }
  cudaFree(device);
  return status == cudaSuccess ? nullptr : cudaGetErrorString(status);
}

int cuda_devices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

}  // namespace reprise::ledger
