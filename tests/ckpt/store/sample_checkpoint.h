// Small checkpoints with every part that a real one has, for tests of store and ckpt.
#pragma once

#include "ckpt/state/checkpoint.h"
#include "ckpt/store/metrics.h"

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace reprise::sample {

// A directory that is removed with the object.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "reprise-store-XXXXXX").native();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    root_ = std::filesystem::canonical(name);
    // Far enough below the folder that other tests share: the runs of an uncle are searched too.
    path_ = root_ / "home" / "runs";
    std::filesystem::create_directories(path_);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path root_, path_;
};

inline Tensor floats(Shape shape, float first, float step = 1) {
  std::vector<float> values(static_cast<std::size_t>(count_elements(shape)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = first + step * static_cast<float>(i);
  return Tensor::copy_of(DType::kFloat32, std::move(shape), std::as_bytes(std::span(values)));
}

inline Uuid uuid(int number) { return Uuid::from_url_name("sample " + std::to_string(number)); }

// Optimizer state of two parameters, as PyTorch's AdamW has it.
inline Value adamw(Arena& arena, float scale) {
  const Value state = arena.dict();
  for (int i = 0; i < 2; ++i) {
    const Value of_parameter = arena.dict();
    of_parameter.as_dict().set(arena, "step", arena.tensor(floats({}, scale)));
    of_parameter.as_dict().set(arena, "exp_avg", arena.tensor(floats({i == 0 ? 12 : 4}, scale)));
    of_parameter.as_dict().set(arena, "exp_avg_sq",
                               arena.tensor(floats({i == 0 ? 12 : 4}, scale * 2)));
    state.as_dict().append(arena, Value::integer(i), of_parameter);
  }
  const Value group = arena.dict();
  group.as_dict().set(arena, "lr", Value::real(0.001));
  group.as_dict().set(arena, "betas",
                      arena.tuple(std::vector<Value>{Value::real(0.9), Value::real(0.999)}));
  group.as_dict().set(arena, "params",
                      arena.list(std::vector<Value>{Value::integer(0), Value::integer(1)}));
  const Value optimizer = arena.dict();
  optimizer.as_dict().set(arena, "state", state);
  optimizer.as_dict().set(arena, "param_groups", arena.list(std::vector<Value>{group}));
  return optimizer;
}

// A resumable checkpoint of type model after `epoch` epochs of 10 updates; its weights
// depend on the epoch, its UUID on `number`. `value` is its val/acc1.
inline Checkpoint model(int number, std::uint64_t epoch, double value) {
  Checkpoint c;
  c.type = CheckpointType::kModel;
  c.epoch = epoch;
  c.uuid = uuid(number);
  c.arch = "tiny_net";
  const auto first = static_cast<float>(epoch);
  c.model.append("fc.weight", floats({3, 4}, first));
  c.model.append("fc.bias", floats({4}, -first, 0.5F));
  c.config = Json{{"lr", 0.001}, {"data", {{"name", "builtin:digits"}}}};
  c.optimizer = adamw(*c.arena, first);
  c.progress = TrainingProgress{10 * epoch, epoch, 640 * epoch, 0, std::nullopt, std::nullopt};
  c.random = Json{{"seed", 7}};
  store::MetricsState metrics;
  metrics.set_major("val/acc1", store::MetricMode::kMax);
  metrics.find("val/acc1")->record(value, 10 * epoch);
  c.metrics = metrics.to_json();
  return c;
}

// A head on the backbone that another file holds.
inline Checkpoint head_for(int number, const Uuid& backbone) {
  Checkpoint c = model(number, 1, 0.5);
  c.type = CheckpointType::kSupervised;
  c.arch_head = "RegressionHead";
  c.head.append("linear.weight", floats({2, 3}, 1));
  c.uuid_backbone = backbone;
  c.model = StateDict();
  return c;
}

}  // namespace reprise::sample
