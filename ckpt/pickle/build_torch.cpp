// torch._utils: how PyTorch of every version rebuilds tensors.
#include "ckpt/base/error.h"
#include "ckpt/pickle/builder.h"

#include <fmt/format.h>

#include <array>

namespace reprise::pickle {

namespace {

using Args = std::span<const Value>;

// More dimensions than any writer produces; PyTorch's own kernels stop at 64.
constexpr std::size_t kMostDimensions = 64;

// The numbers of a tuple, list or torch.Size.
std::optional<Shape> numbers_of(Value value) {
  std::span<const Value> items;
  if (const RecordNode* size = value.if_record(RecordClass::kSize)) {
    items = size->fields.span();
  } else if (value.kind() == Kind::kTuple || value.kind() == Kind::kList) {
    items = value.as_sequence().items.span();
  } else {
    return std::nullopt;
  }
  if (items.size() > kMostDimensions) {
    fail(Code::kUnsupported, "a tensor of {} dimensions; at most {} are read", items.size(),
         kMostDimensions);
  }
  Shape numbers;
  for (const Value item : items) {
    const auto number = item.if_int();
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

std::optional<DType> dtype_of(Value value) {
  const RecordNode* record = value.if_record(RecordClass::kTorchDType);
  return record == nullptr ? std::nullopt : dtype_from_name(record->fields[0].as_string());
}

bool truth(Value value) { return value.if_bool().value_or(false); }

class TensorMaker {
 public:
  TensorMaker(Arena& arena, std::uint64_t& bytes_left) : arena_(arena), bytes_left_(bytes_left) {}

  // storage, offset, size, stride. Nothing when the first is no storage that was read.
  std::optional<TensorNode> strided(Args args, std::optional<DType> dtype) {
    if (args.size() < 4) return std::nullopt;
    const RecordNode* storage = args[0].if_record(RecordClass::kStorage);
    const auto offset = args[1].if_int();
    auto shape = numbers_of(args[2]);
    auto strides = numbers_of(args[3]);
    if (storage == nullptr) return std::nullopt;
    if (!offset || !shape || !strides) {
      fail(Code::kCorrupt, "a tensor whose offset, size or stride is no whole number");
    }
    const Tensor& all = storage->fields[0].as_tensor().tensor;
    TensorNode node;
    node.dtype = dtype.value_or(all.dtype());
    if (node.dtype == DType::kQUInt4x2 || node.dtype == DType::kQUInt2x4) {
      fail(Code::kUnsupported, "a tensor of {}, which packs several values in a byte",
           name(node.dtype));
    }
    node.tensor =
        Tensor::make(node.dtype, std::move(*shape), std::move(*strides), *offset, all.storage());
    charge(node.tensor.size_bytes());
    return node;
  }

  // A tensor node like `other`, which may lie over the same storage.
  TensorNode again(const TensorNode& other) {
    charge(other.tensor.size_bytes());
    return other;
  }

  Value keep(TensorNode node) { return arena_.tensor_node(std::move(node)); }

 private:
  void charge(std::uint64_t bytes) {
    if (bytes > bytes_left_) {
      fail(Code::kCorrupt,
           "its tensors declare far more bytes than the file holds (views that repeat the same "
           "elements); it is damaged or made to exhaust memory");
    }
    bytes_left_ -= bytes;
  }

  Arena& arena_;
  std::uint64_t& bytes_left_;
};

void set_lazy_bits(TensorNode& node, Value metadata) {
  if (!metadata.is_dict()) return;
  const DictNode& bits = metadata.as_dict();
  node.tensor = node.tensor.with_lazy_bits(truth(bits.get("conj")), truth(bits.get("neg")));
}

std::optional<Quantizer> quantizer_of(Value parameters) {
  if (parameters.kind() != Kind::kTuple) return std::nullopt;
  const auto& items = parameters.as_sequence().items;
  if (items.empty() || items[0].kind() != Kind::kGlobal) return std::nullopt;
  const std::string_view scheme = items[0].as_global();
  Quantizer quantizer;
  if (scheme == "torch.per_tensor_affine" && items.size() >= 3) {
    const auto scale = items[1].if_number();
    const auto zero_point = items[2].if_int();
    if (!scale || !zero_point) return std::nullopt;
    quantizer.scale = *scale;
    quantizer.zero_point = *zero_point;
    return quantizer;
  }
  const bool per_channel =
      scheme == "torch.per_channel_affine" || scheme == "torch.per_channel_affine_float_qparams";
  if (!per_channel || items.size() < 4 || !items[1].is_tensor() || !items[2].is_tensor()) {
    return std::nullopt;
  }
  const auto axis = items[3].if_int();
  if (!axis) return std::nullopt;
  quantizer.per_channel = true;
  quantizer.scales = items[1];
  quantizer.zero_points = items[2];
  quantizer.axis = *axis;
  return quantizer;
}

std::optional<TensorLayout> layout_of(Value value) {
  const RecordNode* record = value.if_record(RecordClass::kLayout);
  std::string_view text;
  if (record != nullptr) {
    text = record->fields[0].as_string();
  } else if (value.kind() == Kind::kGlobal && value.as_global().starts_with("torch.")) {
    text = value.as_global().substr(6);
  }
  constexpr std::array<std::pair<std::string_view, TensorLayout>, 5> kLayouts = {{
      {"sparse_coo", TensorLayout::kSparseCoo},
      {"sparse_csr", TensorLayout::kSparseCsr},
      {"sparse_csc", TensorLayout::kSparseCsc},
      {"sparse_bsr", TensorLayout::kSparseBsr},
      {"sparse_bsc", TensorLayout::kSparseBsc},
  }};
  for (const auto& [layout_name, layout] : kLayouts) {
    if (layout_name == text) return layout;
  }
  return std::nullopt;
}

// layout, (indices, values, size[, is_coalesced]) or (compressed, plain, values, size).
std::optional<TensorNode> sparse(Args args) {
  if (args.size() != 2 || args[1].kind() != Kind::kTuple) return std::nullopt;
  const auto layout = layout_of(args[0]);
  if (!layout) return std::nullopt;
  const auto parts = args[1].as_sequence().items.span();
  TensorNode node;
  node.layout = *layout;
  const std::size_t tensors = *layout == TensorLayout::kSparseCoo ? 2 : 3;
  if (parts.size() <= tensors) return std::nullopt;
  for (std::size_t i = 0; i < tensors; ++i) {
    if (!parts[i].is_tensor()) return std::nullopt;
  }
  auto shape = numbers_of(parts[tensors]);
  if (!shape) return std::nullopt;
  count_elements(*shape);
  OtherLayout other;
  other.shape = std::move(*shape);
  other.indices = parts[0];
  if (tensors == 3) other.plain_indices = parts[1];
  other.values = parts[tensors - 1];
  // Files older than PyTorch 2.0 do not say whether indices are sorted and unique.
  other.coalesced = tensors == 2 && parts.size() > 3 && truth(parts[3]);
  node.dtype = other.values.as_tensor().dtype;
  node.other = std::make_shared<OtherLayout>(std::move(other));
  return node;
}

// dtype, size, stride, requires_grad.
std::optional<TensorNode> meta(Args args) {
  if (args.size() < 4) return std::nullopt;
  const auto dtype = dtype_of(args[0]);
  auto shape = numbers_of(args[1]);
  if (!dtype || !shape) return std::nullopt;
  count_elements(*shape);
  TensorNode node;
  node.layout = TensorLayout::kMeta;
  node.dtype = *dtype;
  node.other = std::make_shared<OtherLayout>(OtherLayout{std::move(*shape), false, {}, {}, {}});
  node.requires_grad = truth(args[3]);
  return node;
}

bool rebuilds_tensor(Known known) {
  return known >= Known::kRebuildTensor && known <= Known::kRebuildMetaTensor;
}

bool is_empty_state(Value state) {
  return state.is_none() || (state.is_dict() && state.as_dict().entries.empty());
}

Value record_of(Arena& arena, RecordClass record_class, Value field) {
  return arena.record(record_class, std::span(&field, 1));
}

std::optional<Value> device(Arena& arena, Args args) {
  if (args.empty() || !args[0].is_string()) return std::nullopt;
  std::string text(args[0].as_string());
  if (args.size() > 1) {
    const auto index = args[1].if_int();
    if (!index) return std::nullopt;
    text += fmt::format(":{}", *index);
  }
  return record_of(arena, RecordClass::kDevice, arena.string(text));
}

std::optional<Value> from_type(Arena& arena, Args args, std::uint64_t& bytes_left) {
  if (args.size() != 4 || args[0].kind() != Kind::kGlobal || args[1].kind() != Kind::kGlobal ||
      args[2].kind() != Kind::kTuple) {
    return std::nullopt;
  }
  const Known inner = known_global(args[0].as_global());
  if (!rebuilds_tensor(inner)) return std::nullopt;
  const auto made = build_torch(arena, inner, args[2].as_sequence().items.span(), bytes_left);
  if (!made || !made->is_tensor()) return std::nullopt;
  TensorNode& node = made->as_tensor();
  const std::string_view type = args[1].as_global();
  if (type == "torch.nn.parameter.Parameter") {
    node.parameter = true;
  } else if (type != "torch.Tensor" && type != "torch.nn.parameter.Buffer") {
    node.python_class = arena.copy(type);
  }
  if (!is_empty_state(args[3])) node.attributes = args[3];
  return made;
}

}  // namespace

std::optional<Value> build_torch(Arena& arena, Known known, Args args, std::uint64_t& bytes_left) {
  TensorMaker maker(arena, bytes_left);
  std::optional<TensorNode> node;
  switch (known) {
    case Known::kRebuildTensor: node = maker.strided(args, std::nullopt); break;
    case Known::kRebuildTensorV2:
      node = maker.strided(args, std::nullopt);
      if (node && args.size() > 4) node->requires_grad = truth(args[4]);
      if (node && args.size() > 6) set_lazy_bits(*node, args[6]);
      break;
    case Known::kRebuildTensorV3:
      if (args.size() < 7 || !dtype_of(args[6])) return std::nullopt;
      node = maker.strided(args, dtype_of(args[6]));
      if (node) node->requires_grad = truth(args[4]);
      if (node && args.size() > 7) set_lazy_bits(*node, args[7]);
      break;
    case Known::kRebuildQTensor:
      if (args.size() < 6) return std::nullopt;
      node = maker.strided(args, std::nullopt);
      if (const auto quantizer = quantizer_of(args[4]); node && quantizer) {
        node->quantizer = std::make_shared<Quantizer>(*quantizer);
      } else if (node) {
        return std::nullopt;
      }
      if (node) node->requires_grad = truth(args[5]);
      break;
    case Known::kRebuildParameter:
    case Known::kRebuildParameterWithState:
    case Known::kParameterClass:
      if (args.empty() || !args[0].is_tensor()) return std::nullopt;
      node = maker.again(args[0].as_tensor());
      node->parameter = true;
      node->requires_grad = args.size() < 2 || truth(args[1]);
      if (known == Known::kRebuildParameterWithState && args.size() > 3 &&
          !is_empty_state(args[3])) {
        node->attributes = args[3];
      }
      break;
    case Known::kRebuildSparseTensor: node = sparse(args); break;
    case Known::kRebuildMetaTensor: node = meta(args); break;
    case Known::kRebuildFromType: return from_type(arena, args, bytes_left);
    case Known::kTorchSize: {
      if (args.size() != 1)
        return args.empty() ? std::optional(arena.record(RecordClass::kSize, {})) : std::nullopt;
      const auto numbers = numbers_of(args[0]);
      if (!numbers) return std::nullopt;
      std::vector<Value> fields;
      for (const std::int64_t number : *numbers) fields.push_back(Value::integer(number));
      return arena.record(RecordClass::kSize, fields);
    }
    case Known::kTorchDevice: return device(arena, args);
    case Known::kTorchGetLayout: {
      if (args.size() != 1 || !args[0].is_string()) return std::nullopt;
      const std::string_view text = args[0].as_string();
      if (!text.starts_with("torch.")) return std::nullopt;
      return record_of(arena, RecordClass::kLayout, arena.string(text.substr(6)));
    }
    default: return std::nullopt;
  }
  if (!node) return std::nullopt;
  return maker.keep(std::move(*node));
}

}  // namespace reprise::pickle
