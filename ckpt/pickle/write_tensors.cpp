#include "ckpt/base/error.h"
#include "ckpt/pickle/globals.h"
#include "ckpt/pickle/value_writer.h"

namespace reprise::pickle {

void Writer::storage(const Tensor& tensor, DType dtype, bool whole) {
  const Storage* source = tensor.storage().get();
  const std::uint64_t size =
      whole && source != nullptr ? source->size_bytes() : tensor.size_bytes();
  std::size_t key = storages_.size();
  if (whole) key = keys_.emplace(source, key).first->second;
  if (key == storages_.size()) {
    storages_.push_back(
        whole && source != nullptr
            ? Tensor::contiguous(DType::kUInt8, {static_cast<std::int64_t>(size)}, tensor.storage())
            : tensor);
  }
  const std::string_view cls = storage_class(dtype);
  const std::uint64_t width = cls.empty() ? 1 : item_size(dtype);
  out_.op(Op::kMark);
  out_.text("storage");
  out_.global(cls.empty() ? "torch.storage.UntypedStorage" : "torch." + std::string(cls));
  out_.text(std::to_string(key));
  out_.text("cpu");
  out_.integer(static_cast<std::int64_t>(size / width));
  out_.op(Op::kTuple);
  out_.op(Op::kBinPersId);
}

void Writer::open_strided(const TensorNode& node) {
  const Tensor& tensor = node.tensor;
  // Alone on its storage, a tensor is written as its values, without what it does not
  // look at; otherwise it stays a view.
  const bool whole = tensor.storage() != nullptr && occurrences_.is_shared(tensor.storage().get());
  const bool untyped = storage_class(node.dtype).empty();
  out_.global(node.quantizer ? "torch._utils._rebuild_qtensor"
              : untyped      ? "torch._utils._rebuild_tensor_v3"
                             : "torch._utils._rebuild_tensor_v2");
  out_.op(Op::kMark);
  storage(tensor, node.dtype, whole);
  out_.integer(whole ? tensor.offset() : 0);
  out_.numbers(tensor.shape());
  out_.numbers(whole ? tensor.strides() : contiguous_strides(tensor.shape()));
}

void Writer::per_channel(Value v) {
  const Quantizer& quantizer = *v.as_tensor().quantizer;
  open_strided(v.as_tensor());
  out_.op(Op::kMark);
  out_.global("torch.per_channel_affine");
  then({step(quantizer.scales),
        step(quantizer.zero_points),
        step(Value::integer(quantizer.axis)),
        step(Op::kTuple),
        {.what = Step::kTensorTail, .value = v},
        memoize(v)});
}

void Writer::strided(const TensorNode& node) {
  open_strided(node);
  if (node.quantizer) {
    out_.global("torch.per_tensor_affine");
    out_.real(node.quantizer->scale);
    out_.integer(node.quantizer->zero_point);
    out_.close_tuple(3);
  }
  tensor_tail(node);
}

void Writer::tensor_tail(const TensorNode& node) {
  out_.boolean(node.requires_grad && !node.parameter);
  out_.empty_ordered_dict();
  if (storage_class(node.dtype).empty()) out_.global("torch." + std::string(name(node.dtype)));
  const bool whole =
      node.tensor.storage() != nullptr && occurrences_.is_shared(node.tensor.storage().get());
  if (whole && (node.tensor.conjugated() || node.tensor.negated())) {
    out_.op(Op::kEmptyDict);
    for (const auto& [bit, set] :
         {std::pair("conj", node.tensor.conjugated()), std::pair("neg", node.tensor.negated())}) {
      if (!set) continue;
      out_.text(bit);
      out_.boolean(true);
      out_.op(Op::kSetItem);
    }
  }
  out_.op(Op::kTuple);
  out_.op(Op::kReduce);
}

void Writer::sparse(Value v) {
  const TensorNode& node = v.as_tensor();
  constexpr std::string_view kLayouts[] = {"torch.sparse_coo", "torch.sparse_csr",
                                           "torch.sparse_csc", "torch.sparse_bsr",
                                           "torch.sparse_bsc"};
  const auto index =
      static_cast<std::size_t>(node.layout) - static_cast<std::size_t>(TensorLayout::kSparseCoo);
  out_.global("torch._utils._rebuild_sparse_tensor");
  layout(kLayouts[index]);
  out_.op(Op::kMark);
  std::vector<Step> steps = {step(node.other->indices)};
  if (index > 0) steps.push_back(step(node.other->plain_indices));
  steps.push_back(step(node.other->values));
  steps.push_back({.what = Step::kTensorTail, .value = v});
  steps.push_back(memoize(v));
  then(std::move(steps));
}

void Writer::sparse_tail(const TensorNode& node) {
  size(node.shape());
  if (node.layout == TensorLayout::kSparseCoo) out_.boolean(node.other->coalesced);
  out_.op(Op::kTuple);
  out_.close_tuple(2);
  out_.op(Op::kReduce);
}

void Writer::tensor(Value v) {
  const TensorNode& node = v.as_tensor();
  const bool has_state = node.attributes.is_dict() ? !node.attributes.as_dict().entries.empty()
                                                   : !node.attributes.is_none();
  const bool typed = !node.python_class.empty() || (has_state && !node.parameter);
  if (!node.python_class.empty()) {
    require(Loadable::kAnyPython,
            fmt::format("a tensor of class {}", printable(node.python_class)));
  }
  if (node.layout != TensorLayout::kStrided) {
    if (node.parameter || typed)
      refuse_to_write("a sparse or meta tensor that is a parameter or has attributes");
    if (node.layout == TensorLayout::kMeta) {
      meta(node);
      return remember(v);
    }
    return sparse(v);
  }
  if (typed) {
    if (node.quantizer || node.parameter) refuse_to_write("a quantized tensor with attributes");
    return typed_tensor(v, has_state);
  }
  if (node.quantizer && node.parameter) refuse_to_write("a quantized parameter");
  if (node.quantizer && node.quantizer->per_channel) return per_channel(v);
  if (!node.parameter) {
    strided(node);
    return remember(v);
  }
  out_.global(has_state ? "torch._utils._rebuild_parameter_with_state"
                        : "torch._utils._rebuild_parameter");
  out_.open_tuple(has_state ? 4 : 3);
  strided(node);
  out_.boolean(node.requires_grad);
  out_.empty_ordered_dict();
  if (has_state)
    return then({step(node.attributes), step(Op::kTuple), step(Op::kReduce), memoize(v)});
  out_.close_tuple(3);
  out_.op(Op::kReduce);
  remember(v);
}

void Writer::typed_tensor(Value v, bool has_state) {
  const TensorNode& node = v.as_tensor();
  out_.global("torch._tensor._rebuild_from_type_v2");
  out_.open_tuple(4);
  const bool untyped = storage_class(node.dtype).empty();
  out_.global(untyped ? "torch._utils._rebuild_tensor_v3" : "torch._utils._rebuild_tensor_v2");
  out_.global(node.python_class.empty() ? "torch.Tensor" : std::string(node.python_class));
  const bool whole =
      node.tensor.storage() != nullptr && occurrences_.is_shared(node.tensor.storage().get());
  out_.op(Op::kMark);
  storage(node.tensor, node.dtype, whole);
  out_.integer(whole ? node.tensor.offset() : 0);
  out_.numbers(node.tensor.shape());
  out_.numbers(whole ? node.tensor.strides() : contiguous_strides(node.tensor.shape()));
  out_.boolean(node.requires_grad);
  out_.empty_ordered_dict();
  if (untyped) out_.global("torch." + std::string(name(node.dtype)));
  out_.op(Op::kTuple);
  if (!has_state) out_.op(Op::kEmptyDict);
  steps_.push_back(memoize(v));
  steps_.push_back(step(Op::kReduce));
  steps_.push_back(step(Op::kTuple));
  if (has_state) steps_.push_back(step(node.attributes));
}

void Writer::meta(const TensorNode& node) {
  out_.global("torch._utils._rebuild_meta_tensor_no_storage");
  out_.open_tuple(4);
  out_.global("torch." + std::string(name(node.dtype)));
  out_.numbers(node.shape());
  out_.numbers(contiguous_strides(node.shape()));
  out_.boolean(node.requires_grad);
  out_.close_tuple(4);
  out_.op(Op::kReduce);
}

}  // namespace reprise::pickle
