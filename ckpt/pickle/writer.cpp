#include "ckpt/pickle/writer.h"

#include "ckpt/base/error.h"
#include "ckpt/pickle/emitter.h"
#include "ckpt/pickle/globals.h"
#include "ckpt/state/occurrences.h"

#include <charconv>
#include <cstdio>
#include <map>
#include <span>
#include <unordered_map>
#include <utility>

namespace reprise::pickle {

namespace {

// As Python: so many items between a MARK and APPENDS or SETITEMS.
constexpr std::size_t kBatch = 1000;
constexpr std::size_t kShort = 64;

[[noreturn]] void refuse(std::string_view what) {
  fail(Code::kUnsupported,
       "{} cannot be written to a .pth file that torch.load(weights_only=True) reads", what);
}

// What is left to write.
struct Step {
  enum What { kValue, kOp, kItems, kPairs, kCloseTuple, kMemoize, kTensorTail } what = kValue;
  Value value;
  Op op = Op::kStop;
  std::size_t size = 0;  // of a tuple; of a batch that is open
  std::span<const Value> items = {};
  std::span<const DictEntry> entries = {};
};

class Writer {
 public:
  Writer(Value root, Loadable loadable) : occurrences_(root), loadable_(loadable) {
    out_.begin();
    steps_.push_back(step(root));
  }

  Pickled write() {
    while (!steps_.empty()) {
      Step next = std::move(steps_.back());
      steps_.pop_back();
      take(next);
    }
    out_.op(Op::kStop);
    return {out_.take(), std::move(storages_)};
  }

 private:
  static Step step(Value value) { return {.what = Step::kValue, .value = value}; }
  static Step step(Op op) { return {.what = Step::kOp, .value = {}, .op = op}; }
  static Step items(std::span<const Value> values) {
    return {.what = Step::kItems, .value = {}, .items = values};
  }
  static Step pairs(std::span<const DictEntry> entries) {
    return {.what = Step::kPairs, .value = {}, .entries = entries};
  }
  static Step memoize(Value value) { return {.what = Step::kMemoize, .value = value}; }

  void then(std::vector<Step> steps) {
    for (std::size_t i = steps.size(); i-- > 0;) steps_.push_back(std::move(steps[i]));
  }

  void require(Loadable needed, std::string_view what) const {
    if (loadable_ < needed) refuse(what);
  }

  void take(Step& next) {
    switch (next.what) {
      case Step::kOp: return out_.op(next.op);
      case Step::kMemoize: return remember(next.value);
      case Step::kCloseTuple: return close_tuple(next);
      case Step::kItems: return batch(next, next.items, Op::kAppend, Op::kAppends);
      case Step::kPairs: return batch(next, next.entries, Op::kSetItem, Op::kSetItems);
      case Step::kTensorTail: {
        const TensorNode& node = next.value.as_tensor();
        return node.layout == TensorLayout::kStrided ? tensor_tail(node) : sparse_tail(node);
      }
      case Step::kValue: return value(next.value);
    }
  }

  // One batch of what remains, then the rest.
  template <typename Item>
  void batch(Step& next, std::span<const Item>& all, Op one, Op many) {
    if (all.empty()) return;
    const auto now = all.first(std::min(all.size(), kBatch));
    all = all.subspan(now.size());
    if (now.size() > 1) out_.op(Op::kMark);
    std::vector<Step> steps;
    for (const Item& item : now) add_item(steps, item);
    steps.push_back(step(now.size() > 1 ? many : one));
    steps.push_back(std::move(next));
    then(std::move(steps));
  }
  static void add_item(std::vector<Step>& steps, const Value& item) { steps.push_back(step(item)); }
  static void add_item(std::vector<Step>& steps, const DictEntry& entry) {
    steps.push_back(step(entry.key));
    steps.push_back(step(entry.value));
  }

  void remember(Value value) {
    if (recurs(value)) memo_.emplace(value.identity(), out_.put());
  }
  bool recurs(Value value) const { return occurrences_.recurs(value); }

  void value(Value v) {
    if (const auto known = memo_.find(v.identity());
        v.identity() != nullptr && known != memo_.end()) {
      return out_.get(known->second);
    }
    switch (v.kind()) {
      case Kind::kNone: return out_.op(Op::kNone);
      case Kind::kBool: return out_.boolean(v.as_bool());
      case Kind::kInt: return out_.integer(v.as_int());
      case Kind::kBigInt:
        return once(v, v.as_bytes(), [&](Bytes digits) { out_.big_integer(digits); });
      case Kind::kFloat: return out_.real(v.as_float());
      case Kind::kComplex:
        out_.global("builtins.complex");
        out_.real(v.as_complex().real());
        out_.real(v.as_complex().imag());
        out_.close_tuple(2);
        return out_.op(Op::kReduce);
      case Kind::kString: return text(v.as_string());
      case Kind::kBytes: return once(v, v.as_bytes(), [&](Bytes bytes) { out_.bytes(bytes); });
      case Kind::kByteArray:
        out_.global("builtins.bytearray");
        out_.bytes(v.as_bytes());
        out_.close_tuple(1);
        out_.op(Op::kReduce);
        return remember(v);
      case Kind::kList:
        out_.op(Op::kEmptyList);
        remember(v);
        return steps_.push_back(items(v.as_sequence().items.span()));
      case Kind::kTuple: return tuple(v);
      case Kind::kSet:
      case Kind::kFrozenSet: return set(v);
      case Kind::kDict: return dict(v);
      case Kind::kTensor: return tensor(v);
      case Kind::kRecord: return record(v);
      case Kind::kGlobal: return global(v.as_global());
      case Kind::kOpaque: return opaque(v);
    }
  }

  // Long ones are fetched when they come again, found by where they lie: a small file may refer
  // to a long one a million times. Its parts may begin at the same place.
  void text(std::string_view text) {
    if (text.size() <= kShort) {
      out_.text(text);
      return;
    }
    const auto [known, is_new] = long_ones_.try_emplace({text.data(), text.size()});
    if (!is_new) return out_.get(known->second);
    known->second = out_.text(text);
  }

  template <typename Write>
  void once(Value v, Bytes bytes, Write write) {
    if (bytes.size() <= kShort) return write(bytes);
    const auto [known, is_new] = long_ones_.try_emplace({v.identity(), bytes.size()});
    if (!is_new) return out_.get(known->second);
    write(bytes);
    known->second = out_.put();
  }

  void global(std::string_view name) {
    require(Loadable::kAnyPython, fmt::format("the class or function {}", printable(name)));
    out_.global(name);
  }

  void tuple(Value v) {
    const auto values = v.as_sequence().items.span();
    out_.open_tuple(values.size());
    std::vector<Step> steps;
    for (const Value item : values) steps.push_back(step(item));
    steps.push_back({.what = Step::kCloseTuple, .value = v, .size = values.size()});
    then(std::move(steps));
  }

  void close_tuple(const Step& next) {
    const auto known = memo_.find(next.value.identity());
    if (known != memo_.end()) {
      // The tuple holds itself, through a list, say: it was made inside. As Python does,
      // drop the items of this second one and fetch the first.
      require(Loadable::kAnyPython, "a tuple that contains itself");
      if (next.size > 3) {
        out_.op(Op::kPopMark);
      } else {
        for (std::size_t i = 0; i < next.size; ++i) out_.op(Op::kPop);
      }
      return out_.get(known->second);
    }
    out_.close_tuple(next.size);
    if (next.size > 0) remember(next.value);
  }

  void set(Value v) {
    const bool frozen = v.kind() == Kind::kFrozenSet;
    if (frozen) require(Loadable::kAnyPython, "a frozenset");
    out_.global(frozen ? "builtins.frozenset" : "builtins.set");
    out_.op(Op::kEmptyList);
    then({items(v.as_sequence().items.span()), step(Op::kTuple1), step(Op::kReduce), memoize(v)});
  }

  void dict(Value v) {
    const DictNode& node = v.as_dict();
    const bool has_attributes =
        node.attributes.is_dict() && !node.attributes.as_dict().entries.empty();
    std::vector<Step> steps;
    switch (node.dict_class) {
      case DictClass::kDict:
        if (has_attributes) refuse("a plain dict with attributes of its own");
        out_.op(Op::kEmptyDict);
        break;
      case DictClass::kOrderedDict: out_.empty_ordered_dict(); break;
      case DictClass::kCounter:
        out_.global("collections.Counter");
        out_.op(Op::kEmptyTuple);
        out_.op(Op::kReduce);
        break;
      case DictClass::kDefaultDict:
        require(Loadable::kAnyPython, "a defaultdict");
        out_.global("collections.defaultdict");
        steps = {step(node.factory), step(Op::kTuple1), step(Op::kReduce)};
        break;
      case DictClass::kNamespace:
        require(Loadable::kAnyPython, "an argparse.Namespace");
        out_.global("argparse.Namespace");
        out_.op(Op::kEmptyTuple);
        out_.op(Op::kNewObj);
        remember(v);
        out_.op(Op::kEmptyDict);
        return then({pairs(node.entries.span()), step(Op::kBuild)});
    }
    steps.push_back(memoize(v));
    steps.push_back(pairs(node.entries.span()));
    if (has_attributes) {
      steps.push_back(step(node.attributes));
      steps.push_back(step(Op::kBuild));
    }
    then(std::move(steps));
  }

  void opaque(Value v) {
    const OpaqueNode& node = v.as_opaque();
    require(Loadable::kAnyPython, fmt::format("an object of {}", printable(node.name)));
    if (!node.kwargs.is_none())
      refuse(fmt::format("a call of {} with keywords", printable(node.name)));
    std::vector<Step> steps;
    const auto args =
        node.args.is_sequence() ? node.args.as_sequence().items.span() : std::span<const Value>();
    if (node.name == "<call>") {
      steps = {step(args[0]), step(args[1]), step(Op::kReduce)};
    } else {
      out_.global(node.name);
      // Without arguments it is an instance, whose __init__ is not to run.
      if (args.empty()) {
        steps = {step(Op::kEmptyTuple), step(Op::kNewObj)};
      } else {
        steps = {step(node.args), step(Op::kReduce)};
      }
    }
    steps.push_back(memoize(v));
    steps.push_back(items(node.items.span()));
    steps.push_back(pairs(node.entries.span()));
    if (node.has_state) {
      steps.push_back(step(node.state));
      steps.push_back(step(Op::kBuild));
    }
    then(std::move(steps));
  }

  // Tensors

  // ("storage", class, key, "cpu", elements) as a persistent id, over `stored`'s bytes.
  void storage(const Tensor& tensor, DType dtype, bool whole) {
    const Storage* source = tensor.storage().get();
    const std::uint64_t size =
        whole && source != nullptr ? source->size_bytes() : tensor.size_bytes();
    std::size_t key = storages_.size();
    if (whole) key = keys_.emplace(source, key).first->second;
    if (key == storages_.size()) {
      storages_.push_back(whole && source != nullptr
                              ? Tensor::contiguous(DType::kUInt8, {static_cast<std::int64_t>(size)},
                                                   tensor.storage())
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

  // The call of a strided tensor up to its strides.
  void open_strided(const TensorNode& node) {
    const Tensor& tensor = node.tensor;
    // Alone on its storage, a tensor is written as its values, without what it does not
    // look at; otherwise it stays a view.
    const bool whole =
        tensor.storage() != nullptr && occurrences_.is_shared(tensor.storage().get());
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

  void per_channel(Value v) {
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

  void strided(const TensorNode& node) {
    open_strided(node);
    if (node.quantizer) {
      out_.global("torch.per_tensor_affine");
      out_.real(node.quantizer->scale);
      out_.integer(node.quantizer->zero_point);
      out_.close_tuple(3);
    }
    tensor_tail(node);
  }

  // requires_grad and what follows it, up to the call.
  void tensor_tail(const TensorNode& node) {
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

  void sparse(Value v) {
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

  void sparse_tail(const TensorNode& node) {
    size(node.shape());
    if (node.layout == TensorLayout::kSparseCoo) out_.boolean(node.other->coalesced);
    out_.op(Op::kTuple);
    out_.close_tuple(2);
    out_.op(Op::kReduce);
  }

  void layout(std::string_view name) {
    out_.global("torch.serialization._get_layout");
    out_.text(name);
    out_.close_tuple(1);
    out_.op(Op::kReduce);
  }

  void size(const Shape& shape) {
    out_.global("torch.Size");
    out_.numbers(shape);
    out_.close_tuple(1);
    out_.op(Op::kReduce);
  }

  void tensor(Value v) {
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
        refuse("a sparse or meta tensor that is a parameter or has attributes");
      if (node.layout == TensorLayout::kMeta) {
        meta(node);
        return remember(v);
      }
      return sparse(v);
    }
    if (typed) {
      if (node.quantizer || node.parameter) refuse("a quantized tensor with attributes");
      return typed_tensor(v, has_state);
    }
    if (node.quantizer && node.parameter) refuse("a quantized parameter");
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

  // _rebuild_from_type_v2(function, class, arguments, state).
  void typed_tensor(Value v, bool has_state) {
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

  void meta(const TensorNode& node) {
    out_.global("torch._utils._rebuild_meta_tensor_no_storage");
    out_.open_tuple(4);
    out_.global("torch." + std::string(name(node.dtype)));
    out_.numbers(node.shape());
    out_.numbers(contiguous_strides(node.shape()));
    out_.boolean(node.requires_grad);
    out_.close_tuple(4);
    out_.op(Op::kReduce);
  }

  // Library values

  void device(std::string_view text) {
    out_.global("torch.device");
    const std::size_t colon = text.find(':');
    out_.text(text.substr(0, colon));
    std::int64_t index = 0;
    if (colon != std::string_view::npos) {
      std::from_chars(text.data() + colon + 1, text.data() + text.size(), index);
      out_.integer(index);
    }
    out_.close_tuple(colon == std::string_view::npos ? 1 : 2);
    out_.op(Op::kReduce);
  }

  void time_delta(std::int64_t days, std::int64_t seconds, std::int64_t micros) {
    out_.global("datetime.timedelta");
    for (const std::int64_t part : {days, seconds, micros}) out_.integer(part);
    out_.close_tuple(3);
    out_.op(Op::kReduce);
  }

  // The bytes that datetime's own __reduce__ gives, from ISO 8601 text.
  void date_or_time(RecordClass cls, const std::string& text) {
    unsigned year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    std::size_t at = 0;
    std::string state;
    const auto put = [&](unsigned byte) { state.push_back(static_cast<char>(byte)); };
    if (cls != RecordClass::kTime) {
      if (std::sscanf(text.c_str(), "%4u-%2u-%2u", &year, &month, &day) != 3)
        refuse("a date that is no ISO 8601");
      put(year >> 8);
      put(year & 0xFF);
      put(month);
      put(day);
      at = 11;
    }
    std::string offset;
    if (cls != RecordClass::kDate) {
      const std::string clock = text.substr(std::min(at, text.size()));
      if (std::sscanf(clock.c_str(), "%2u:%2u:%2u", &hour, &minute, &second) != 3)
        refuse("a time that is no ISO 8601");
      put(hour);
      put(minute);
      put(second);
      unsigned micros = 0;
      const std::size_t zone = std::min(clock.find_first_of("+-"), clock.size());
      if (clock.size() > 8 && clock[8] == '.')
        micros = static_cast<unsigned>(std::stoul(clock.substr(9, zone - 9)));
      put(micros >> 16);
      put(micros >> 8 & 0xFF);
      put(micros & 0xFF);
      offset = clock.substr(zone);
    }
    out_.global(cls == RecordClass::kDateTime ? "datetime.datetime"
                : cls == RecordClass::kDate   ? "datetime.date"
                                              : "datetime.time");
    out_.bytes(as_bytes(state));
    if (!offset.empty()) zone(offset);
    out_.close_tuple(offset.empty() ? 1 : 2);
    out_.op(Op::kReduce);
  }

  // "+02:00" as a datetime.timezone.
  void zone(const std::string& offset) {
    unsigned hours = 0, minutes = 0, seconds = 0;
    if (std::sscanf(offset.c_str() + 1, "%2u:%2u:%2u", &hours, &minutes, &seconds) < 2)
      refuse("a time zone");
    std::int64_t total = static_cast<std::int64_t>(hours) * 3600 + minutes * 60 + seconds;
    if (offset[0] == '-') total = -total;
    out_.global("datetime.timezone");
    time_delta(total < 0 ? -1 : 0, total < 0 ? total + 86400 : total, 0);
    out_.close_tuple(1);
    out_.op(Op::kReduce);
  }

  void record(Value v) {
    const RecordNode& node = v.as_record();
    switch (node.record_class) {
      case RecordClass::kSize: {
        Shape shape;
        for (const Value extent : node.fields) shape.push_back(extent.as_int());
        return size(shape);
      }
      case RecordClass::kDevice: return device(node.fields[0].as_string());
      case RecordClass::kTorchDType:
        return out_.global("torch." + std::string(node.fields[0].as_string()));
      case RecordClass::kLayout: return layout("torch." + std::string(node.fields[0].as_string()));
      case RecordClass::kMemoryFormat:
        return global("torch." + std::string(node.fields[0].as_string()));
      case RecordClass::kStorage: {
        const Tensor& all = node.fields[0].as_tensor().tensor;
        storage(all, all.dtype(), true);
        return remember(v);
      }
      case RecordClass::kNumpyDType:
        require(Loadable::kAnyPython, "a numpy dtype");
        return write_numpy_dtype(out_, node.fields[0]);
      case RecordClass::kNumpyScalar:
        require(Loadable::kAnyPython, "a numpy scalar");
        return write_numpy_scalar(out_, node);
      case RecordClass::kNumpyArray:
        require(Loadable::kAnyPython, "a numpy array");
        open_numpy_array(out_);
        remember(v);
        open_numpy_state(out_, node);
        if (node.fields[2].kind() != Kind::kList) return close_numpy_array(out_);
        return then({step(node.fields[2]), step(Op::kTuple), step(Op::kBuild)});
      case RecordClass::kDateTime:
      case RecordClass::kDate:
      case RecordClass::kTime:
        require(Loadable::kAnyPython, "a date or time");
        return date_or_time(node.record_class, std::string(node.fields[0].as_string()));
      case RecordClass::kTimeDelta:
        require(Loadable::kAnyPython, "a timedelta");
        return time_delta(node.fields[0].as_int(), node.fields[1].as_int(),
                          node.fields[2].as_int());
      case RecordClass::kPath: {
        require(Loadable::kAnyPython, "a path");
        const auto parts = node.fields[1].as_sequence().items.span();
        out_.global("pathlib." + std::string(node.fields[0].as_string()));
        out_.open_tuple(parts.size());
        for (const Value part : parts) out_.text(part.as_string());
        out_.close_tuple(parts.size());
        return out_.op(Op::kReduce);
      }
    }
  }

  Occurrences occurrences_;
  Loadable loadable_;
  Emitter out_;
  std::vector<Step> steps_;
  std::unordered_map<const void*, std::uint32_t> memo_;
  std::map<std::pair<const void*, std::size_t>, std::uint32_t> long_ones_;
  std::unordered_map<const Storage*, std::size_t> keys_;
  std::vector<Tensor> storages_;
};

}  // namespace

Pickled write(Value root, Loadable loadable) { return Writer(root, loadable).write(); }

}  // namespace reprise::pickle
