// A network: a pure function of weights and images, and the names of those weights.
#pragma once

#include "engine/models/layers.h"
#include "engine/models/pass.h"
#include "engine/weights/weights.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise::engine {

// What a network is built from; all of it is part of a checkpoint's `config`.
struct NetworkOptions {
  std::string arch = "resnet18";
  // Classes of a classifier or numbers of a regression; 0: no head, features come out.
  std::int64_t outputs = 0;
  std::int64_t channels = 3;
  std::int64_t image_size = 224;  // side in pixels; ResNets take any
  std::int64_t patch_size = 16;   // ViT
  double dropout = 0;    // ViT: after attention's projection, in the MLP, and on embeddings
  double drop_path = 0;  // ViT: of the last block, growing linearly from 0 at the first
};

// Immutable after building; forward() is safe from several threads.
class Network {
 public:
  virtual ~Network() = default;

  const NetworkOptions& options() const { return options_; }
  const std::shared_ptr<const Layout>& layout() const { return layout_; }

  // [batch, channels, side, side] -> [batch, feature_elements()].
  virtual at::Tensor features(const Weights& weights, const at::Tensor& images,
                              const Pass& pass) const = 0;
  virtual std::int64_t feature_elements() const = 0;
  // The same, and the features of each place in the image: [batch, feature_elements(), h, w].
  struct Maps {
    at::Tensor features;
    at::Tensor map;
  };
  virtual Maps maps(const Weights& weights, const at::Tensor& images, const Pass& pass) const = 0;
  // Head on features; features themselves when there is no head. float32.
  at::Tensor head(const Weights& weights, const at::Tensor& features, const Pass& pass) const;
  at::Tensor forward(const Weights& weights, const at::Tensor& images, const Pass& pass) const {
    return head(weights, features(weights, images, pass), pass);
  }

  // Prefix of the head's names: "fc." in torchvision's ResNet, "head." in ViT.
  virtual std::string_view head_prefix() const = 0;
  // "linear" or empty: what a checkpoint stores as arch_head.
  std::string arch_head() const { return options_.outputs > 0 ? "linear" : ""; }

  // Changes public weights of another geometry into ours where the model defines how: a ViT's
  // pos_embed by bicubic interpolation (as DINO and timm do), a patch embedding never.
  virtual Adapt adapt() const { return {}; }

 protected:
  explicit Network(NetworkOptions options) : options_(std::move(options)) {}
  // Registers the linear head, if there is one; called last by a constructor.
  void add_head(Layout& layout, std::string_view prefix, Init weight, Init bias);
  void set_layout(Layout layout) { layout_ = std::make_shared<const Layout>(std::move(layout)); }

 private:
  NetworkOptions options_;
  std::shared_ptr<const Layout> layout_;
  Linear head_;
};

// Errors: kUsage for an unknown architecture, with the nearest one; for an image size that is
// no multiple of the patch size; for options that the architecture does not have.
std::unique_ptr<const Network> build_network(const NetworkOptions& options);

// For `--list arch`.
struct ArchitectureInfo {
  std::string name;
  std::string about;
};
std::vector<ArchitectureInfo> architectures();

}  // namespace reprise::engine
