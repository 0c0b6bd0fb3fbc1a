#include "ckpt/pickle/value_writer.h"

#include "ckpt/base/error.h"

#include <algorithm>

namespace reprise::pickle {

namespace {

// As Python: so many items between a MARK and APPENDS or SETITEMS.
constexpr std::size_t kBatch = 1000;
constexpr std::size_t kShort = 64;

}  // namespace

void refuse_to_write(std::string_view what) {
  fail(Code::kUnsupported,
       "{} cannot be written to a .pth file that torch.load(weights_only=True) reads", what);
}

Writer::Writer(Value root, Loadable loadable) : occurrences_(root), loadable_(loadable) {
  out_.begin();
  steps_.push_back(step(root));
}

Pickled Writer::write() {
  while (!steps_.empty()) {
    Step next = steps_.back();
    steps_.pop_back();
    take(next);
  }
  out_.op(Op::kStop);
  return {out_.take(), std::move(storages_)};
}

void Writer::then(std::vector<Step> steps) {
  for (std::size_t i = steps.size(); i-- > 0;) steps_.push_back(steps[i]);
}

void Writer::require(Loadable needed, std::string_view what) const {
  if (loadable_ < needed) refuse_to_write(what);
}

void Writer::add_item(std::vector<Step>& steps, const Value& item) { steps.push_back(step(item)); }

void Writer::add_item(std::vector<Step>& steps, const DictEntry& entry) {
  steps.push_back(step(entry.key));
  steps.push_back(step(entry.value));
}

template <typename Item>
void Writer::batch(Step& next, std::span<const Item>& all, Op one, Op many) {
  if (all.empty()) return;
  const auto now = all.first(std::min(all.size(), kBatch));
  all = all.subspan(now.size());
  if (now.size() > 1) out_.op(Op::kMark);
  std::vector<Step> steps;
  for (const Item& item : now) add_item(steps, item);
  steps.push_back(step(now.size() > 1 ? many : one));
  steps.push_back(next);
  then(std::move(steps));
}

void Writer::take(Step& next) {
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

void Writer::remember(Value value) {
  if (recurs(value)) memo_.emplace(value.identity(), out_.put());
}

void Writer::text(std::string_view text) {
  if (text.size() <= kShort) {
    out_.text(text);
    return;
  }
  const auto [known, is_new] = long_ones_.try_emplace({text.data(), text.size()});
  if (!is_new) return out_.get(known->second);
  known->second = out_.text(text);
}

template <typename Write>
void Writer::once(Value v, Bytes bytes, Write write) {
  if (bytes.size() <= kShort) return write(bytes);
  const auto [known, is_new] = long_ones_.try_emplace({v.identity(), bytes.size()});
  if (!is_new) return out_.get(known->second);
  write(bytes);
  known->second = out_.put();
}

void Writer::value(Value v) {
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

void Writer::global(std::string_view name) {
  require(Loadable::kAnyPython, fmt::format("the class or function {}", printable(name)));
  out_.global(name);
}

void Writer::tuple(Value v) {
  const auto values = v.as_sequence().items.span();
  out_.open_tuple(values.size());
  std::vector<Step> steps;
  for (const Value item : values) steps.push_back(step(item));
  steps.push_back({.what = Step::kCloseTuple, .value = v, .size = values.size()});
  then(std::move(steps));
}

void Writer::close_tuple(const Step& next) {
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

void Writer::set(Value v) {
  const bool frozen = v.kind() == Kind::kFrozenSet;
  if (frozen) require(Loadable::kAnyPython, "a frozenset");
  out_.global(frozen ? "builtins.frozenset" : "builtins.set");
  out_.op(Op::kEmptyList);
  then({items(v.as_sequence().items.span()), step(Op::kTuple1), step(Op::kReduce), memoize(v)});
}

void Writer::dict(Value v) {
  const DictNode& node = v.as_dict();
  const bool has_attributes =
      node.attributes.is_dict() && !node.attributes.as_dict().entries.empty();
  std::vector<Step> steps;
  switch (node.dict_class) {
    case DictClass::kDict:
      if (has_attributes) refuse_to_write("a plain dict with attributes of its own");
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

void Writer::opaque(Value v) {
  const OpaqueNode& node = v.as_opaque();
  require(Loadable::kAnyPython, fmt::format("an object of {}", printable(node.name)));
  if (!node.kwargs.is_none())
    refuse_to_write(fmt::format("a call of {} with keywords", printable(node.name)));
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

Pickled write(Value root, Loadable loadable) { return Writer(root, loadable).write(); }

}  // namespace reprise::pickle
