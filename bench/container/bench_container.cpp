// bench_container STATE: saves and loads on request, timed in the process.
//
// STATE is `vit` (ViT-B/16 with AdamW: 456 tensors, 1.04 GB) or `many` (3,000 tensors of
// 64 KiB). Reads commands from stdin, a line each, and answers each with seconds:
//   save PATH     durable save of the state
//   map PATH      open, nothing verified, touch every page
//   verify PATH   open with every digest verified before it returns
//   list PATH     open and walk the tensor table
#include "ckpt/base/error.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/tensor_names.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

using namespace reprise;

namespace {

using Named = std::pair<std::string, Shape>;

std::vector<Named> vit_base() {
  constexpr std::int64_t kWidth = 768;
  std::vector<Named> list = {{"cls_token", {1, 1, kWidth}},
                             {"pos_embed", {1, 197, kWidth}},
                             {"patch_embed.proj.weight", {kWidth, 3, 16, 16}},
                             {"patch_embed.proj.bias", {kWidth}}};
  const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    list.push_back({name + ".weight", {out, in}});
    list.push_back({name + ".bias", {out}});
  };
  const auto norm = [&](const std::string& name) {
    list.push_back({name + ".weight", {kWidth}});
    list.push_back({name + ".bias", {kWidth}});
  };
  for (int i = 0; i < 12; ++i) {
    const std::string block = fmt::format("blocks.{}.", i);
    norm(block + "norm1");
    linear(block + "attn.qkv", 3 * kWidth, kWidth);
    linear(block + "attn.proj", kWidth, kWidth);
    norm(block + "norm2");
    linear(block + "mlp.fc1", 4 * kWidth, kWidth);
    linear(block + "mlp.fc2", kWidth, 4 * kWidth);
  }
  norm("norm");
  linear("head", 1000, kWidth);
  return list;
}

Tensor noise(const Shape& shape, std::uint32_t& state) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(count_elements(shape)) * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 4) {
    state = state * 1664525u + 1013904223u;
    store_little(bytes.data() + i, static_cast<float>(state) / 4294967296.0F - 0.5F);
  }
  return Tensor::contiguous(DType::kFloat32, shape, owned_storage(std::move(bytes)));
}

Document make_state(const std::string& kind) {
  std::uint32_t random = 1;
  Document document;
  Arena& arena = *document.arena;
  document.root = arena.dict();
  DictNode& root = document.root.as_dict();
  root.append(arena, "version", Value::integer(5));
  const Value model = arena.dict();
  root.append(arena, "model", model);
  if (kind == "many") {
    for (int i = 0; i < 3000; ++i) {
      model.as_dict().append(arena, fmt::format("layers.{}.weight", i),
                             arena.tensor(noise({128, 128}, random)));
    }
    return document;
  }
  const Value state = arena.dict();
  for (const auto& [name, shape] : vit_base()) {
    const Value slot = arena.dict();
    slot.as_dict().append(arena, "step", Value::real(1000));
    slot.as_dict().append(arena, "exp_avg", arena.tensor(noise(shape, random)));
    slot.as_dict().append(arena, "exp_avg_sq", arena.tensor(noise(shape, random)));
    state.as_dict().append(
        arena, Value::integer(static_cast<std::int64_t>(state.as_dict().entries.size())), slot);
    model.as_dict().append(arena, name, arena.tensor(noise(shape, random)));
  }
  const Value optimizer = arena.dict();
  optimizer.as_dict().append(arena, "state", state);
  root.append(arena, "optimizer", optimizer);
  return document;
}

unsigned touch(const Document& document) {
  unsigned sum = 0;
  for (const auto& [name, tensor] : container::name_tensors(document)) {
    const Bytes bytes = tensor.in_place();
    for (std::size_t i = 0; i < bytes.size(); i += 4096) sum += std::to_integer<unsigned>(bytes[i]);
  }
  return sum;
}

unsigned run(const std::string& command, const std::string& path, const Document& state) {
  using container::Hdf5Reader;
  using container::Verify;
  if (command == "save") {
    container::write_hdf5(path, state);
    return 0;
  }
  const Hdf5Reader reader = Hdf5Reader::open(path);
  if (command == "map") return touch(reader.document(Verify::kNone));
  if (command == "verify") return touch(reader.document(Verify::kAll));
  if (command == "list") {
    unsigned sum = 0;
    for (const auto& entry : reader.tensors())
      sum += static_cast<unsigned>(entry.name.size() + entry.shape.size());
    return sum;
  }
  fail(Code::kUsage, "unknown command '{}'", command);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Document state = make_state(argc > 1 ? argv[1] : "vit");
    std::string command, path;
    unsigned sink = 0;
    while (std::cin >> command >> path) {
      const auto start = std::chrono::steady_clock::now();
      sink += run(command, path, state);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      std::cout << fmt::format("{:.6f}", seconds.count()) << std::endl;
    }
    std::cerr << (sink == 1 ? " " : "");  // the touched bytes count as used
    return 0;
  } catch (const Error& error) {
    std::cerr << error.what() << "\n";
    return error.exit_code();
  }
}
