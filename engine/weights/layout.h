// What weights a network has, before there are any: names, shapes, how they start.
#pragma once

#include "engine/weights/init.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::engine {

struct ParameterSpec {
  std::string name;
  std::vector<std::int64_t> shape;
  Init init;
  std::int64_t elements = 0;
  // Start in the flat buffer, in elements; a multiple of Layout::kAlignment.
  std::int64_t offset = 0;
  // Frozen parameters get no gradient and are not updated.
  bool trainable = true;
  // Of a convolution, [out, in, height, width], read by nothing else: see Weights::Arranged.
  bool kernel = false;
};

// Not learnt, but part of the state: running statistics of BatchNorm.
struct BufferSpec {
  std::string name;
  std::vector<std::int64_t> shape;
  double initial = 0;
  bool integer = false;  // int64, else float32
};

// One BatchNorm layer: where its buffers are and how many channels it has.
struct BatchNormSpec {
  std::size_t running_mean, running_var, batches_tracked;  // indices of buffers
  std::int64_t channels = 0;
  std::int64_t offset = 0;  // of its moments in a shard's record
  double momentum = 0.1;
};

// Grows while a network is put together and stays as it is from then on. Names are those of
// the state dict, in its order.
class Layout {
 public:
  // Parameters start at multiples of so many elements (64 bytes), so that the bits of
  // vectorised code do not hang on where a parameter happens to lie.
  static constexpr std::int64_t kAlignment = 16;

  // Returns the index. Errors: kInternal for a name that is there.
  std::size_t parameter(std::string name, std::vector<std::int64_t> shape, Init init);
  // A convolution's.
  std::size_t kernel(std::string name, std::vector<std::int64_t> shape, Init init);
  std::size_t buffer(std::string name, std::vector<std::int64_t> shape, double initial,
                     bool integer = false);
  // Registers weight, bias and the three buffers below `name`; returns the layer's index.
  struct BatchNormIndex {
    std::size_t weight, bias, layer;
  };
  BatchNormIndex batch_norm(const std::string& name, std::int64_t channels);
  // A number for each layer that draws random numbers: the "layer" of their key.
  std::uint64_t random_layer() { return random_layers_++; }

  // The same with `prefix` before every name: a network as a part of something larger. Indices and
  // offsets stay, so the network computes with weights of the larger layout as with its own.
  Layout prefixed(const std::string& prefix) const;

  // Takes part in forward passes but not in learning: names that start with `prefix`.
  void freeze(const std::string& prefix);

  const std::vector<ParameterSpec>& parameters() const { return parameters_; }
  const std::vector<BufferSpec>& buffers() const { return buffers_; }
  const std::vector<BatchNormSpec>& batch_norms() const { return batch_norms_; }
  // The layer that a parameter is part of: its name without what follows the last point.
  std::string_view module_of(std::size_t parameter) const {
    const std::string_view name = parameters_[parameter].name;
    return name.substr(0, name.rfind('.'));
  }
  // Parameters and buffers in state-dict order: as they were registered.
  struct Entry {
    bool is_buffer = false;
    std::size_t index = 0;
  };
  const std::vector<Entry>& entries() const { return entries_; }
  // Of the flat buffer, padding included; and of all parameters without it.
  std::int64_t flat_elements() const { return flat_elements_; }
  std::int64_t parameter_elements() const;
  // float64 numbers in a shard's record of BatchNorm moments: per layer, at its offset, `channels`
  // means, then `channels` biased variances, then the number of values per channel.
  std::int64_t moment_elements() const { return moment_elements_; }

 private:
  std::vector<ParameterSpec> parameters_;
  std::vector<BufferSpec> buffers_;
  std::vector<BatchNormSpec> batch_norms_;
  std::vector<Entry> entries_;
  std::int64_t flat_elements_ = 0;
  std::int64_t moment_elements_ = 0;
  std::uint64_t random_layers_ = 0;
};

}  // namespace reprise::engine
