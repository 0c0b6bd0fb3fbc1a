// decode_bench FOLDER ROUNDS: reads, decodes and augments every image of FOLDER on one core, as
// training does, and prints images per second, a line a round. FOLDER builtin:roads works too.
#include "ckpt/base/error.h"
#include "engine/data/loader.h"
#include "engine/data/open.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

using namespace reprise::engine;

namespace {

double images_per_second(const Dataset& set, std::uint64_t round) {
  View view;
  view.size = set.native_size();
  view.normalisation = set.normalisation();
  view.augmentation = usual_augmentation(set, view.size);
  constexpr std::uint64_t kBatch = 100;
  TrainSampler sampler(1, set.size(), kBatch, {round, 0});
  std::uint64_t left = sampler.batches_per_epoch();
  LoaderOptions options;
  options.workers = 0;
  Loader loader(
      set, {view}, kBatch,
      [&]() -> std::optional<BatchRequest> {
        if (left-- == 0) {
          return std::nullopt;
        }
        auto step = sampler.next();
        return BatchRequest{step.epoch, std::move(step.ids), step.after, 0};
      },
      options);
  std::uint64_t images = 0;
  const auto start = std::chrono::steady_clock::now();
  while (const Batch* batch = loader.next()) {
    images += batch->ids.size();
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return static_cast<double>(images) / elapsed.count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: decode_bench FOLDER ROUNDS\n");
    return 2;
  }
  try {
    OpenOptions options;
    options.max_samples = 5000;
    const auto set = open_dataset(argv[1], Split::kTrain, options);
    for (int round = 0; round < std::atoi(argv[2]); ++round) {
      fmt::print("{:.1f}\n", images_per_second(*set, static_cast<std::uint64_t>(round)));
      std::fflush(stdout);
    }
  } catch (const reprise::Error& error) {
    fmt::print(stderr, "decode_bench: {}\n", error.what());
    return error.exit_code();
  }
  return 0;
}
