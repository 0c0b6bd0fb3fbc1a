// How long training stands still for an asynchronous save: prints, for each round, the
// seconds of one memcpy of the state and of AsyncSaver::submit(). With a folder, the state is saved
// there by one process and by two that share the work: prints the seconds of submit() and those
// until the file is durable, of both.
#include "ckpt/store/async_save.h"
#include "ckpt/store/save.h"
#include "ckpt/store/shared_save.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

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
  c.type = CheckpointType::kModel;
  c.arch = "vit_base";
  c.epoch = 1;
  c.config = Json::object();
  c.metrics = Json::object();
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

store::Wanted wanted_of(const container::TensorShare& share) {
  return [&share](const Tensor& tensor) { return share.has(tensor); };
}

// Of a process, as of ranks that have a core each.
constexpr unsigned kThreads = 1;

// The second process: takes part in a save for each byte that comes.
int help(const Checkpoint& state, container::Crew crew, int orders) {
  store::AsyncSaver saver(kThreads);
  for (char order = 0; ::read(orders, &order, 1) == 1;) {
    const auto share = store::share_of(state, crew);
    saver.submit(
        state, [&](const Checkpoint& snapshot) { store::save_share(snapshot, crew, kThreads); },
        wanted_of(*share));
    saver.finish();
  }
  return 0;
}

int measure_sharing(const Checkpoint& state, const std::filesystem::path& folder, int rounds) {
  int ends[2];
  int orders[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || ::pipe(orders) != 0) {
    return 1;
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(orders[1]);
    ::close(ends[0]);
    ::_exit(help(state, container::Crew(1, 2, container::CrewLink(ends[1], "first")), orders[0]));
  }
  ::close(orders[0]);
  ::close(ends[1]);
  std::vector<container::CrewLink> links;
  links.emplace_back(ends[0], "second");
  container::Crew crew(std::move(links));
  const auto share = store::share_of(state, crew);
  // Each has its own buffer, which stays as it is once it is there.
  store::AsyncSaver alone(kThreads);
  store::AsyncSaver together(kThreads);
  for (int round = 0; round <= rounds; ++round) {
    for (const bool shared : {false, true}) {
      store::AsyncSaver& saver = shared ? together : alone;
      double stall = 0;
      std::filesystem::path path;
      const double wall = seconds([&] {
        if (shared && ::write(orders[1], "x", 1) != 1) std::abort();
        stall = seconds([&] {
          saver.submit(
              state,
              [&](const Checkpoint& snapshot) {
                path = store::save(snapshot, folder,
                                   {.jobs = kThreads, .crew = shared ? &crew : nullptr})
                           .path;
              },
              shared ? wanted_of(*share) : store::Wanted());
        });
        saver.finish();
      });
      std::filesystem::remove(path);
      if (round > 0) std::printf("%.6f %.6f%c", stall, wall, shared ? '\n' : ' ');
    }
  }
  ::close(orders[1]);
  ::waitpid(child, nullptr, 0);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 5;
  std::vector<std::shared_ptr<std::vector<float>>> memory;
  const Checkpoint state = state_of(memory);
  if (argc > 2) return measure_sharing(state, argv[2], rounds);
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
