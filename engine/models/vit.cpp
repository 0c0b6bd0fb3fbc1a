#include "engine/models/vit.h"

#include "ckpt/base/error.h"
#include "engine/determinism/op_trace.h"
#include "engine/device/pinned_memory.h"
#include "engine/models/checkpointed.h"
#include "engine/models/linear_product.h"

#include <ATen/ATen.h>
#include <fmt/core.h>

#include <cmath>

namespace reprise::engine {
namespace {

// All of timm's and DINO's linear layers start so.
constexpr double kDeviation = 0.02;

class Block {
 public:
  Block(Layout& layout, const std::string& name, const VitShape& shape,
        const NetworkOptions& options, double drop_path)
      : name_(name), heads_(shape.heads) {
    parameters_.first = layout.parameters().size();
    const std::int64_t width = shape.width;
    const Init weight = Init::truncated_normal(kDeviation);
    const Init bias = Init::constant(0);
    norm1_ = LayerNorm(layout, name + ".norm1", width);
    qkv_ = Linear(layout, name + ".attn.qkv", width, 3 * width, weight, bias);
    projection_ = Linear(layout, name + ".attn.proj", width, width, weight, bias);
    norm2_ = LayerNorm(layout, name + ".norm2", width);
    fc1_ = Linear(layout, name + ".mlp.fc1", width, 4 * width, weight, bias);
    fc2_ = Linear(layout, name + ".mlp.fc2", 4 * width, width, weight, bias);
    attention_dropout_ = Dropout(layout, options.dropout);
    hidden_dropout_ = Dropout(layout, options.dropout);
    output_dropout_ = Dropout(layout, options.dropout);
    attention_path_ = DropPath(layout, drop_path);
    mlp_path_ = DropPath(layout, drop_path);
    parameters_.last = layout.parameters().size();
  }

  // [batch, tokens, width] -> the same.
  at::Tensor operator()(const Weights& w, const at::Tensor& input, const Pass& pass) const {
    return checkpointed([&](const at::Tensor& x) { return compute(w, x, pass); }, input, w,
                        parameters_, pass);
  }

 private:
  at::Tensor compute(const Weights& w, const at::Tensor& x, const Pass& pass) const {
    const ModuleScope scope(name_);
    at::Tensor y = attention_dropout_(attention(w, norm1_(w, x, pass), pass), pass);
    const at::Tensor middle = x + attention_path_(y, pass);
    y = hidden_dropout_(at::gelu(fc1_(w, norm2_(w, middle, pass), pass)), pass);
    y = output_dropout_(fc2_(w, y, pass), pass);
    return middle + mlp_path_(y, pass);
  }

  at::Tensor attention(const Weights& w, const at::Tensor& x, const Pass& pass) const {
    const std::int64_t batch = x.size(0);
    const std::int64_t tokens = x.size(1);
    const std::int64_t width = x.size(2);
    const at::Tensor qkv =
        qkv_(w, x, pass).view({batch, tokens, 3, heads_, width / heads_}).permute({2, 0, 3, 1, 4});
    const at::Tensor y = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);
    return projection_(w, y.transpose(1, 2).reshape({batch, tokens, width}), pass);
  }

  std::string name_;
  ParameterRange parameters_;
  std::int64_t heads_;
  LayerNorm norm1_, norm2_;
  Linear qkv_, projection_, fc1_, fc2_;
  Dropout attention_dropout_, hidden_dropout_, output_dropout_;
  DropPath attention_path_, mlp_path_;
};

// [rows of the new grid, rows of the old grid]: bicubic interpolation (Keys, a = -0.75, corners
// not aligned), as torch.nn.functional.interpolate does it.
at::Tensor interpolation_matrix(std::int64_t from, std::int64_t to_height, std::int64_t to_width) {
  const at::Tensor grid = at::eye(from * from, at::kFloat).view({from * from, 1, from, from});
  return at::upsample_bicubic2d(grid, {to_height, to_width}, false)
      .view({from * from, to_height * to_width})
      .t()
      .contiguous();
}

// Class token first, then the grid of patches: [1, 1 + from^2, width] -> [1, 1 + h * w, width].
at::Tensor interpolate_positions(const at::Tensor& positions, std::int64_t height,
                                 std::int64_t width) {
  const std::int64_t patches = positions.size(1) - 1;
  const auto side =
      static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(patches))));
  const at::Tensor matrix = sent_to(positions.device(), interpolation_matrix(side, height, width));
  const at::Tensor grid = at::matmul(matrix, positions[0].narrow(0, 1, patches)).unsqueeze(0);
  return at::cat({positions.narrow(1, 0, 1), grid}, 1);
}

class Vit : public Network {
 public:
  Vit(const NetworkOptions& options, const VitShape& shape) : Network(options), shape_(shape) {
    const std::int64_t patch = options.patch_size;
    if (patch <= 0 || options.image_size <= 0 || options.image_size % patch != 0) {
      fail(Code::kUsage,
           "image size {} is no multiple of patch size {}; set --image-size or "
           "--patch-size",
           options.image_size, patch);
    }
    side_ = options.image_size / patch;
    Layout layout;
    const Init normal = Init::truncated_normal(kDeviation);
    cls_token_ = layout.parameter("cls_token", {1, 1, shape.width}, normal);
    pos_embed_ = layout.parameter("pos_embed", {1, 1 + side_ * side_, shape.width}, normal);
    const std::int64_t fan_in = options.channels * patch * patch;
    patch_weight_ =
        layout.parameter("patch_embed.proj.weight", {shape.width, options.channels, patch, patch},
                         Init::torch_default(fan_in));
    patch_bias_ =
        layout.parameter("patch_embed.proj.bias", {shape.width}, Init::torch_default(fan_in));
    position_dropout_ = Dropout(layout, options.dropout);
    for (std::int64_t i = 0; i < shape.depth; ++i) {
      const double drop_path = shape.depth == 1 ? options.drop_path
                                                : options.drop_path * static_cast<double>(i) /
                                                      static_cast<double>(shape.depth - 1);
      blocks_.emplace_back(layout, fmt::format("blocks.{}", i), shape, options, drop_path);
    }
    norm_ = LayerNorm(layout, "norm", shape.width);
    add_head(layout, head_prefix(), normal, Init::constant(0));
    set_layout(std::move(layout));
  }

  at::Tensor features(const Weights& w, const at::Tensor& images, const Pass& pass) const override {
    const at::Tensor x = tokens(w, images, pass);
    // Norm works token by token, so only the class token needs it.
    return norm_(w, x.select(1, 0), pass);
  }

  Maps maps(const Weights& w, const at::Tensor& images, const Pass& pass) const override {
    const at::Tensor x = norm_(w, tokens(w, images, pass), pass);
    const std::int64_t rows = images.size(2) / options().patch_size;
    const std::int64_t columns = images.size(3) / options().patch_size;
    const at::Tensor places = x.narrow(1, 1, rows * columns).transpose(1, 2);
    return {x.select(1, 0), places.reshape({x.size(0), shape_.width, rows, columns})};
  }

  std::int64_t feature_elements() const override { return shape_.width; }
  std::string_view head_prefix() const override { return "head."; }

  Adapt adapt() const override {
    return [](std::string_view name, const at::Tensor& found, at::IntArrayRef shape) {
      if (name != "pos_embed" || found.dim() != 3 || found.size(0) != 1 ||
          found.size(2) != shape[2]) {
        return at::Tensor();
      }
      const auto old_side = std::llround(std::sqrt(static_cast<double>(found.size(1) - 1)));
      if (old_side < 1 || old_side * old_side + 1 != found.size(1)) return at::Tensor();
      const auto side = std::llround(std::sqrt(static_cast<double>(shape[1] - 1)));
      return interpolate_positions(found.to(at::kFloat), side, side);
    };
  }

 private:
  at::Tensor tokens(const Weights& w, const at::Tensor& images, const Pass& pass) const {
    at::Tensor x = embed(w, images, pass);
    for (const Block& block : blocks_) x = block(w, x, pass);
    return x;
  }

  // [batch, channels, h, w] -> [batch, 1 + patches, width]. The patch embedding's convolution has
  // stride = kernel: cut into patches it is one matrix product.
  at::Tensor embed(const Weights& w, const at::Tensor& images, const Pass& pass) const {
    const std::int64_t patch = options().patch_size;
    const std::int64_t batch = images.size(0);
    const std::int64_t rows = images.size(2) / patch;
    const std::int64_t columns = images.size(3) / patch;
    const at::Tensor patches =
        images.reshape({batch, options().channels, rows, patch, columns, patch})
            .permute({0, 2, 4, 1, 3, 5})
            .reshape({batch, rows * columns, options().channels * patch * patch})
            .to(pass.compute_type);
    const at::Tensor weight = w.parameter(patch_weight_).view({shape_.width, -1});
    const at::Tensor tokens = linear_product(patches, weight.to(pass.compute_type),
                                             w.parameter(patch_bias_).to(pass.compute_type));
    const at::Tensor& stored = w.parameter(pos_embed_);
    const at::Tensor positions =
        rows == side_ && columns == side_ ? stored : interpolate_positions(stored, rows, columns);
    const at::Tensor cls = w.parameter(cls_token_).expand({batch, 1, shape_.width});
    return position_dropout_(at::cat({cls, tokens.to(at::kFloat)}, 1) + positions, pass);
  }

  VitShape shape_;
  std::int64_t side_ = 0;
  std::size_t cls_token_ = 0, pos_embed_ = 0, patch_weight_ = 0, patch_bias_ = 0;
  Dropout position_dropout_;
  std::vector<Block> blocks_;
  LayerNorm norm_;
};

}  // namespace

std::unique_ptr<const Network> make_vit(const NetworkOptions& options, const VitShape& shape) {
  return std::make_unique<const Vit>(options, shape);
}

}  // namespace reprise::engine
