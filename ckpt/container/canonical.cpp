#include "ckpt/container/canonical.h"

#include "ckpt/base/error.h"
#include "ckpt/base/sha256.h"
#include "ckpt/pickle/text.h"
#include "ckpt/state/occurrences.h"
#include "ckpt/state/repeated_text.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>
#include <utility>
#include <vector>

namespace reprise::container {

namespace {

constexpr std::int64_t kLargestPlainInteger = std::int64_t{1} << 53;
// Converting to decimal costs the square of the size; Python refuses such numbers too.
constexpr std::size_t kLargestDecimalBytes = 8192;
constexpr int kDeepestSets = 32;
constexpr std::size_t kPieceBytes = 1 << 16;

// What is left to write: a piece of text, a value, or the rest of a row of values.
struct Step {
  enum What { kText, kValue, kItems, kPairs } what = kText;
  std::string text;
  Value value;
  std::span<const Value> items;
  std::span<const DictEntry> entries;
  bool first = true;
};

// Against trees that are far larger written out than in their file.
struct Limits {
  std::uint64_t values_left;
  RepeatedText texts{64u << 20};
};

class Writer {
 public:
  Writer(const Occurrences& occurrences, const std::function<void(std::string_view)>& sink,
         Limits& limits, int set_depth)
      : occurrences_(occurrences), sink_(sink), limits_(limits), set_depth_(set_depth) {}

  void write(Value root) {
    steps_.push_back(value_step(root));
    while (!steps_.empty()) {
      Step step = std::move(steps_.back());
      steps_.pop_back();
      take(step);
    }
    sink_(out_);
    out_.clear();
  }

 private:
  static Step text_step(std::string text) {
    return {Step::kText, std::move(text), {}, {}, {}, true};
  }
  static Step value_step(Value value) { return {Step::kValue, {}, value, {}, {}, true}; }
  static Step items_step(std::span<const Value> items) {
    return {Step::kItems, {}, {}, items, {}, true};
  }
  static Step pairs_step(std::span<const DictEntry> entries) {
    return {Step::kPairs, {}, {}, {}, entries, true};
  }

  void emit(std::string_view text) {
    out_ += text;
    if (out_.size() >= kPieceBytes) {
      sink_(out_);
      out_.clear();
    }
  }

  // Steps in the order they are to happen.
  void then(std::vector<Step> steps) {
    for (std::size_t i = steps.size(); i-- > 0;) steps_.push_back(std::move(steps[i]));
  }

  void take(Step& step) {
    switch (step.what) {
      case Step::kText: emit(step.text); return;
      case Step::kValue: value(step.value); return;
      case Step::kItems:
        if (step.items.empty()) return;
        if (!step.first) emit(",");
        {
          const Value item = step.items.front();
          step.items = step.items.subspan(1);
          step.first = false;
          steps_.push_back(std::move(step));
          steps_.push_back(value_step(item));
        }
        return;
      case Step::kPairs:
        if (step.entries.empty()) return;
        emit(step.first ? "[" : ",[");
        {
          const DictEntry entry = step.entries.front();
          step.entries = step.entries.subspan(1);
          step.first = false;
          steps_.push_back(std::move(step));
          then({value_step(entry.key), text_step(","), value_step(entry.value), text_step("]")});
        }
        return;
    }
  }

  void value(Value v) {
    spend_value();
    switch (v.kind()) {
      case Kind::kNone: return emit("null");
      case Kind::kBool: return emit(v.as_bool() ? "true" : "false");
      case Kind::kInt: return integer(v.as_int());
      case Kind::kBigInt: return big_integer(v.as_bytes());
      case Kind::kFloat: return emit("{\"float\":\"" + float_hex(v.as_float()) + "\"}");
      case Kind::kComplex:
        return emit("{\"complex\":[\"" + float_hex(v.as_complex().real()) + "\",\"" +
                    float_hex(v.as_complex().imag()) + "\"]}");
      case Kind::kString: return emit(json_string(admitted(v.as_string())));
      case Kind::kBytes: return emit("{\"bytes\":\"" + to_hex(admitted(v.as_bytes())) + "\"}");
      case Kind::kGlobal: return emit("{\"global\":" + json_string(admitted(v.as_global())) + "}");
      case Kind::kTuple:
        return then(
            {text_step("{\"tuple\":["), items_step(v.as_sequence().items.span()), text_step("]}")});
      case Kind::kFrozenSet: return sorted_set("{\"frozenset\":[", v);
      case Kind::kRecord:
        if (!has_identity(v)) return plain_record(v.as_record());
        return identified(v);
      default: return identified(v);
    }
  }

  [[noreturn]] static void fail_repeated(std::size_t bytes) {
    fail(Code::kUnsupported,
         "a value of {} bytes occurs again and again: written out, the tree would be far larger "
         "than the file",
         bytes);
  }

  void spend_value() {
    if (limits_.values_left == 0) {
      fail(Code::kUnsupported,
           "the tree unfolds to far more values than the file holds: tuples nested in themselves "
           "many times over");
    }
    --limits_.values_left;
  }

  // Text that may be written once more.
  std::string_view admitted(std::string_view text) {
    if (!limits_.texts.admit(text.data(), text.size())) {
      fail(
          Code::kUnsupported,
          "text of {} bytes occurs again and again: written out, the tree would be far larger than "
          "the file",
          text.size());
    }
    return text;
  }
  Bytes admitted(Bytes bytes) { return as_bytes(admitted(as_text(bytes))); }

  void integer(std::int64_t number) {
    const bool plain = number >= -kLargestPlainInteger && number <= kLargestPlainInteger;
    emit(plain ? std::to_string(number) : "{\"int\":\"" + std::to_string(number) + "\"}");
  }

  void big_integer(Bytes bytes) {
    // To decimal costs the square of the size.
    const std::uint64_t work = std::uint64_t{bytes.size()} * bytes.size() / 16;
    if (!limits_.texts.admit(bytes.data(), work)) fail_repeated(bytes.size());
    if (bytes.size() <= kLargestDecimalBytes)
      return emit("{\"int\":\"" + pickle::to_decimal(bytes) + "\"}");
    emit("{\"int_bytes\":\"" + to_hex(bytes) + "\"}");
  }

  // An object that may occur again: "{", its id where it does, its content, "}".
  void identified(Value v) {
    std::string head = "{";
    if (set_depth_ == 0 && occurrences_.recurs(v)) {
      const auto [known, added] = ids_.emplace(v.identity(), ids_.size() + 1);
      if (!added) return emit("{\"ref\":" + std::to_string(known->second) + "}");
      head += "\"id\":" + std::to_string(known->second) + ",";
    }
    switch (v.kind()) {
      case Kind::kByteArray: return emit(head + "\"bytearray\":\"" + to_hex(v.as_bytes()) + "\"}");
      case Kind::kList:
        return then({text_step(head + "\"list\":["), items_step(v.as_sequence().items.span()),
                     text_step("]}")});
      case Kind::kSet: return sorted_set(head + "\"set\":[", v);
      case Kind::kDict: return dict(std::move(head), v.as_dict());
      case Kind::kTensor: return tensor(std::move(head), v);
      case Kind::kOpaque: return opaque(std::move(head), v.as_opaque());
      default:
        return v.if_record(RecordClass::kStorage) ? bare_storage(std::move(head), v)
                                                  : array(std::move(head), v.as_record());
    }
  }

  // Sets have no order: sorted by the JSON text of their items.
  void sorted_set(std::string head, Value set) {
    if (set_depth_ >= kDeepestSets)
      fail(Code::kUnsupported, "sets inside sets, more than {} deep", kDeepestSets);
    std::vector<std::pair<std::string, Value>> items;
    for (const Value item : set.as_sequence().items) {
      std::string text;
      const std::function<void(std::string_view)> sink = [&](std::string_view piece) {
        text += piece;
      };
      Writer(occurrences_, sink, limits_, set_depth_ + 1).write(item);
      items.emplace_back(std::move(text), item);
    }
    std::ranges::stable_sort(items, {}, &std::pair<std::string, Value>::first);
    std::vector<Step> steps = {text_step(std::move(head))};
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) steps.push_back(text_step(","));
      steps.push_back(value_step(items[i].second));
    }
    steps.push_back(text_step("]}"));
    then(std::move(steps));
  }

  void dict(std::string head, const DictNode& node) {
    std::vector<Step> steps = {text_step(std::move(head))};
    switch (node.dict_class) {
      case DictClass::kDict: steps.push_back(text_step("\"dict\":[")); break;
      case DictClass::kOrderedDict: steps.push_back(text_step("\"ordered_dict\":[")); break;
      case DictClass::kCounter: steps.push_back(text_step("\"counter\":[")); break;
      case DictClass::kNamespace: steps.push_back(text_step("\"namespace\":[")); break;
      case DictClass::kDefaultDict:
        steps.push_back(text_step("\"factory\":"));
        steps.push_back(value_step(node.factory));
        steps.push_back(text_step(",\"defaultdict\":["));
        break;
    }
    steps.push_back(pairs_step(node.entries.span()));
    steps.push_back(text_step("]"));
    const bool has_attributes = node.attributes.is_dict()
                                    ? !node.attributes.as_dict().entries.empty()
                                    : !node.attributes.is_none();
    if (has_attributes) {
      steps.push_back(text_step(",\"state\":"));
      steps.push_back(value_step(node.attributes));
    }
    steps.push_back(text_step("}"));
    then(std::move(steps));
  }

  void opaque(std::string head, const OpaqueNode& node) {
    std::vector<Step> steps = {text_step(head + "\"opaque\":" + json_string(admitted(node.name)))};
    const auto row = [&](std::string_view name, Step step) {
      steps.push_back(text_step(",\"" + std::string(name) + "\":["));
      steps.push_back(std::move(step));
      steps.push_back(text_step("]"));
    };
    if (node.args.is_sequence() && !node.args.as_sequence().items.empty()) {
      row("args", items_step(node.args.as_sequence().items.span()));
    }
    if (node.kwargs.is_dict()) row("kwargs", pairs_step(node.kwargs.as_dict().entries.span()));
    if (!node.items.empty()) row("items", items_step(node.items.span()));
    if (!node.entries.empty()) row("entries", pairs_step(node.entries.span()));
    if (node.has_state) {
      steps.push_back(text_step(",\"state\":"));
      steps.push_back(value_step(node.state));
    }
    steps.push_back(text_step("}"));
    then(std::move(steps));
  }

  std::string storage_field(Value v) {
    const Storage* storage = storage_of(v);
    if (storage == nullptr || set_depth_ > 0 || !occurrences_.is_shared(storage)) return "";
    const auto [known, added] = storages_.emplace(storage, storages_.size() + 1);
    return ",\"storage\":" + std::to_string(known->second);
  }

  static std::string shape_text(const Shape& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i)
      text += (i > 0 ? "," : "") + std::to_string(shape[i]);
    return text + "]";
  }

  void tensor(std::string head, Value v) {
    const TensorNode& node = v.as_tensor();
    head += "\"tensor\":{\"dtype\":\"" + std::string(name(node.dtype)) +
            "\",\"shape\":" + shape_text(node.shape());
    std::vector<Step> steps;
    const auto part = [&](std::string_view field, Value child) {
      steps.push_back(text_step(",\"" + std::string(field) + "\":"));
      steps.push_back(value_step(child));
    };
    switch (node.layout) {
      case TensorLayout::kMeta: head += ",\"device\":\"meta\""; break;
      case TensorLayout::kStrided:
        head += ",\"sha256\":\"" + node.tensor.digest().hex() + "\"" + storage_field(v);
        break;
      case TensorLayout::kSparseCoo:
        head += std::string(",\"layout\":\"sparse_coo\",\"coalesced\":") +
                (node.other->coalesced ? "true" : "false");
        part("indices", node.other->indices);
        part("values", node.other->values);
        break;
      default: {
        constexpr std::string_view kNames[] = {"sparse_csr", "sparse_csc", "sparse_bsr",
                                               "sparse_bsc"};
        const auto index = static_cast<std::size_t>(node.layout) -
                           static_cast<std::size_t>(TensorLayout::kSparseCsr);
        head += ",\"layout\":\"" + std::string(kNames[index]) + "\"";
        part("compressed", node.other->indices);
        part("plain", node.other->plain_indices);
        part("values", node.other->values);
      }
    }
    if (node.quantizer && !node.quantizer->per_channel) {
      head += ",\"quantizer\":{\"scheme\":\"per_tensor_affine\",\"scale\":\"" +
              float_hex(node.quantizer->scale) +
              "\",\"zero_point\":" + std::to_string(node.quantizer->zero_point) + "}";
    } else if (node.quantizer) {
      steps.push_back(text_step(",\"quantizer\":{\"scheme\":\"per_channel_affine\",\"axis\":" +
                                std::to_string(node.quantizer->axis)));
      part("scales", node.quantizer->scales);
      part("zero_points", node.quantizer->zero_points);
      steps.push_back(text_step("}"));
    }
    std::string tail;
    if (node.parameter) tail += ",\"parameter\":true";
    if (node.requires_grad) tail += ",\"requires_grad\":true";
    if (!node.python_class.empty())
      tail += ",\"class\":" + json_string(admitted(node.python_class));
    steps.push_back(text_step(std::move(tail)));
    if (!node.attributes.is_none()) part("state", node.attributes);
    steps.push_back(text_step("}}"));
    emit(head);
    then(std::move(steps));
  }

  void bare_storage(std::string head, Value v) {
    const Tensor& all = v.as_record().fields[0].as_tensor().tensor;
    emit(head + "\"storage_object\":{\"dtype\":\"" + std::string(name(all.dtype())) +
         "\",\"numel\":" + std::to_string(all.elements()) + ",\"sha256\":\"" + all.digest().hex() +
         "\"" + storage_field(v) + "}}");
  }

  // A string, or [[field, type], ...] of a record.
  std::string numpy_type(Value description) {
    if (description.is_string()) return json_string(numpy_type_name(description.as_string()));
    std::string text = "[";
    if (description.is_sequence()) {
      for (const Value pair : description.as_sequence().items) {
        spend_value();
        const auto& items = pair.as_sequence().items;
        text += (text.size() > 1 ? ",[" : "[") + json_string(items[0].as_string()) + "," +
                numpy_type(items[1]) + "]";
      }
    }
    return text + "]";
  }

  void array(std::string head, const RecordNode& node) {
    if (node.fields[0].is_none()) {  // of a dtype class that is not known: its state as it is
      return then({text_step(head + "\"opaque\":\"numpy.ndarray\",\"state\":"),
                   value_step(node.fields[2]), text_step("}")});
    }
    head += "\"ndarray\":{\"dtype\":" + numpy_type(node.fields[0]) + ",\"shape\":[";
    std::vector<Step> steps = {text_step(std::move(head))};
    if (node.fields[1].is_sequence()) {
      steps.push_back(items_step(node.fields[1].as_sequence().items.span()));
    } else {
      steps.push_back(value_step(node.fields[1]));
    }
    if (node.fields[2].kind() == Kind::kList) {
      steps.push_back(text_step("],\"items\":["));
      steps.push_back(items_step(node.fields[2].as_sequence().items.span()));
      steps.push_back(text_step("]}}"));
    } else {
      steps.push_back(
          text_step("],\"sha256\":\"" + sha256(node.fields[2].as_bytes()).hex() + "\"}}"));
    }
    then(std::move(steps));
  }

  void plain_record(const RecordNode& node) {
    const auto text = [&](std::size_t i) { return json_string(node.fields[i].as_string()); };
    switch (node.record_class) {
      case RecordClass::kSize:
        return then({text_step("{\"size\":["), items_step(node.fields.span()), text_step("]}")});
      case RecordClass::kDevice: return emit("{\"device\":" + text(0) + "}");
      case RecordClass::kTorchDType: return emit("{\"torch_dtype\":" + text(0) + "}");
      case RecordClass::kLayout: return emit("{\"layout\":" + text(0) + "}");
      case RecordClass::kMemoryFormat: return emit("{\"memory_format\":" + text(0) + "}");
      case RecordClass::kNumpyDType:
        if (node.fields[0].is_string()) return emit("{\"np_dtype\":" + text(0) + "}");
        return emit("{\"np_dtype\":\"|V" + std::to_string(node.fields[1].as_int()) + "\"}");
      case RecordClass::kNumpyScalar:
        return emit("{\"scalar\":{\"dtype\":" + numpy_type(node.fields[0]) + ",\"hex\":\"" +
                    to_hex(admitted(node.fields[1].as_bytes())) + "\"}}");
      case RecordClass::kDateTime: return emit("{\"datetime\":" + text(0) + "}");
      case RecordClass::kDate: return emit("{\"date\":" + text(0) + "}");
      case RecordClass::kTime: return emit("{\"time\":" + text(0) + "}");
      case RecordClass::kTimeDelta:
        return then(
            {text_step("{\"timedelta\":["), items_step(node.fields.span()), text_step("]}")});
      case RecordClass::kPath:
        return then({text_step("{\"path\":["),
                     items_step(node.fields[1].as_sequence().items.span()),
                     text_step("],\"class\":" + text(0) + "}")});
      case RecordClass::kStorage:
      case RecordClass::kNumpyArray: break;  // identified()
    }
  }

  const Occurrences& occurrences_;
  const std::function<void(std::string_view)>& sink_;
  Limits& limits_;
  int set_depth_;
  std::string out_;
  std::vector<Step> steps_;
  std::unordered_map<const void*, std::size_t> ids_;
  std::unordered_map<const Storage*, std::size_t> storages_;
};

}  // namespace

void write_canonical(Value root, const std::function<void(std::string_view)>& sink) {
  const Occurrences occurrences(root);
  Limits limits{.values_left = 5'000'000 + 64 * occurrences.distinct()};
  Writer(occurrences, sink, limits, 0).write(root);
}

std::string canonical_json(Value root) {
  std::string text;
  write_canonical(root, [&](std::string_view piece) { text += piece; });
  return text;
}

std::string float_hex(double value) {
  if (std::isnan(value)) return "nan";
  const std::string sign = std::signbit(value) ? "-" : "";
  if (std::isinf(value)) return sign + "inf";
  if (value == 0) return sign + "0x0.0p+0";
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const auto exponent = static_cast<int>(bits >> 52 & 0x7FF);
  const std::uint64_t fraction = bits & ((std::uint64_t{1} << 52) - 1);
  return fmt::format("{}0x{}.{:013x}p{:+}", sign, exponent == 0 ? 0 : 1, fraction,
                     exponent == 0 ? -1022 : exponent - 1023);
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  const auto unit = [&](std::uint32_t code) { out += fmt::format("\\u{:04x}", code); };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = [&](std::size_t at) {
      return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u;
    };
    const std::uint32_t lead = byte(i);
    switch (lead) {
      case '"': out += "\\\""; continue;
      case '\\': out += "\\\\"; continue;
      case '\n': out += "\\n"; continue;
      case '\r': out += "\\r"; continue;
      case '\t': out += "\\t"; continue;
      case '\b': out += "\\b"; continue;
      case '\f': out += "\\f"; continue;
      default: break;
    }
    if (lead >= 0x20 && lead < 0x7F) {
      out.push_back(text[i]);
    } else if (lead < 0x80) {
      unit(lead);
    } else if (lead < 0xE0) {
      unit((lead & 0x1F) << 6 | (byte(i + 1) & 0x3F));
      i += 1;
    } else if (lead < 0xF0) {
      unit((lead & 0x0F) << 12 | (byte(i + 1) & 0x3F) << 6 | (byte(i + 2) & 0x3F));
      i += 2;
    } else {
      const std::uint32_t code = ((lead & 0x07) << 18 | (byte(i + 1) & 0x3F) << 12 |
                                  (byte(i + 2) & 0x3F) << 6 | (byte(i + 3) & 0x3F)) -
                                 0x10000;
      unit(0xD800 + (code >> 10 & 0x3FF));
      unit(0xDC00 + (code & 0x3FF));
      i += 3;
    }
  }
  return out + "\"";
}

std::string numpy_type_name(std::string_view description) {
  if (description.size() < 2) return std::string(description);
  const char kind = description[1];
  const std::string_view size = description.substr(2);
  const auto bits = [&] {
    int bytes = 0;
    for (const char c : size) bytes = c >= '0' && c <= '9' ? bytes * 10 + (c - '0') : bytes;
    return std::to_string(bytes * 8);
  };
  switch (kind) {
    case 'b': return "bool";
    case 'i': return "int" + bits();
    case 'u': return "uint" + bits();
    case 'f': return "float" + bits();
    case 'c': return "complex" + bits();
    case 'O': return "object";
    case 'M':
    case 'm': {
      const std::size_t unit = description.find('[');
      return (kind == 'M' ? "datetime64" : "timedelta64") +
             (unit == std::string_view::npos ? std::string()
                                             : std::string(description.substr(unit)));
    }
    default: return std::string(description);
  }
}

}  // namespace reprise::container
