#include "ckpt/base/error.h"
#include "ckpt/base/nearest_name.h"
#include "engine/optim/kinds.h"

namespace reprise::engine {
namespace {

void check(bool right, std::string_view what, double value, std::string_view expected) {
  if (!right) fail(Code::kUsage, "optimizer: {} is {}; it has to be {}", what, value, expected);
}

void check(const OptimizerOptions& o) {
  constexpr std::string_view kPart = "at least 0 and below 1";
  check(o.lr >= 0, "the learning rate", o.lr, "at least 0");
  check(o.weight_decay >= 0, "weight decay", o.weight_decay, "at least 0");
  check(o.momentum >= 0 && o.momentum < 1, "momentum", o.momentum, kPart);
  check(o.dampening >= 0 && o.dampening <= 1, "dampening", o.dampening, "from 0 to 1");
  check(o.beta1 >= 0 && o.beta1 < 1, "beta1", o.beta1, kPart);
  check(o.beta2 >= 0 && o.beta2 < 1, "beta2", o.beta2, kPart);
  check(o.eps >= 0, "eps", o.eps, "at least 0");
  check(o.trust_coefficient > 0, "the trust coefficient", o.trust_coefficient, "above 0");
  if (o.nesterov && (o.momentum == 0 || o.dampening != 0)) {
    fail(Code::kUsage, "Nesterov's update needs a momentum and no dampening");
  }
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, const Weights& weights) {
  check(options);
  if (options.name == "sgd") return make_sgd(options, weights);
  if (options.name == "adam" || options.name == "adamw") return make_adam(options, weights);
  if (options.name == "lars") return make_lars(options, weights);
  std::vector<std::string> names;
  for (const auto& [name, about] : optimizers()) names.push_back(name);
  const auto nearest = nearest_name(options.name, names);
  fail(Code::kUsage, "unknown optimizer '{}'{}; --list optimizer shows all",
       printable(options.name), nearest ? fmt::format("; did you mean '{}'?", *nearest) : "");
}

std::vector<std::pair<std::string, std::string>> optimizers() {
  return {{"sgd", "stochastic gradient descent with momentum, Nesterov's too"},
          {"adam", "Adam; weight decay is added to the gradient"},
          {"adamw", "Adam with decoupled weight decay"},
          {"lars", "layer-wise adaptive rates, for large batches"}};
}

}  // namespace reprise::engine
