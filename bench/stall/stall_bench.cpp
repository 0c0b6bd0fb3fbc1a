// How long training stands still for an asynchronous save: prints, for each round, the
// seconds of one memcpy of the state and of AsyncSaver::submit().
#include "ckpt/store/async_save.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

namespace {

using namespace reprise;

double seconds(const auto& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// 456 tensors, 1.04 GB, as ViT-B/16 with AdamW: three of each parameter, and small ones.
Checkpoint state_of(std::vector<std::shared_ptr<std::vector<float>>>& memory) {
  Checkpoint c;
  c.uuid = Uuid::random();
  std::mt19937 random(1);
  for (int i = 0; i < 456; ++i) {
    const std::size_t elements = i % 2 == 0 ? 1'140'000 : 768 + random() % 3000;
    memory.push_back(std::make_shared<std::vector<float>>(elements, static_cast<float>(i)));
    const auto& values = memory.back();
    c.model.append("t" + std::to_string(i),
                   Tensor::contiguous(DType::kFloat32, {static_cast<std::int64_t>(elements)},
                                      borrowed_storage(std::as_bytes(std::span(*values)), values)));
  }
  return c;
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 5;
  std::vector<std::shared_ptr<std::vector<float>>> memory;
  const Checkpoint state = state_of(memory);
  std::vector<float> flat(state.model.size_bytes() / sizeof(float), 1.0F);  // populated
  std::vector<float> target(flat.size(), 2.0F);
  store::AsyncSaver saver;
  for (int round = 0; round <= rounds; ++round) {
    const double copy =
        seconds([&] { std::memcpy(target.data(), flat.data(), flat.size() * sizeof(float)); });
    const double stall = seconds([&] { saver.submit(state, [](const Checkpoint&) {}); });
    saver.finish();
    if (round > 0) std::printf("%.6f %.6f\n", copy, stall);  // the first one populates the buffer
  }
}
