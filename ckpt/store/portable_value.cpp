#include "ckpt/store/portable_value.h"

#include "ckpt/base/error.h"
#include "ckpt/state/checkpoint.h"
#include "ckpt/state/numpy_number.h"
#include "ckpt/state/plain_json.h"

#include <optional>
#include <unordered_map>

namespace reprise::store {

namespace {

// Unmapped values of real files are a few levels deep; what lies deeper is written as text.
constexpr int kDepthLimit = 200;

// The element type that a numpy description names; nothing for text, records, objects
// and other byte orders.
std::optional<DType> dtype_of(std::string_view description) {
  if (!description.empty() &&
      std::string_view("<|=").find(description[0]) != std::string_view::npos) {
    description.remove_prefix(1);
  }
  constexpr std::pair<std::string_view, DType> kTypes[] = {
      {"b1", DType::kBool},      {"u1", DType::kUInt8},      {"i1", DType::kInt8},
      {"i2", DType::kInt16},     {"i4", DType::kInt32},      {"i8", DType::kInt64},
      {"f2", DType::kFloat16},   {"f4", DType::kFloat32},    {"f8", DType::kFloat64},
      {"c8", DType::kComplex64}, {"c16", DType::kComplex128}};
  for (const auto& [code, dtype] : kTypes) {
    if (code == description) return dtype;
  }
  return std::nullopt;
}

class Porter {
 public:
  explicit Porter(Arena& arena) : arena_(arena) {}

  Value convert(Value value, int depth) {
    if (depth > kDepthLimit) return text(value);
    if (const void* id = value.identity()) {
      if (const auto found = done_.find(id); found != done_.end()) return found->second;
    }
    switch (value.kind()) {
      case Kind::kList:
      case Kind::kTuple:
      case Kind::kSet:
      case Kind::kFrozenSet: return sequence(value, depth);
      case Kind::kDict: return dict(value, depth);
      case Kind::kByteArray: return done_[value.identity()] = arena_.bytes(value.as_bytes());
      case Kind::kTensor: return tensor(value, depth);
      case Kind::kRecord: return record(value, depth);
      case Kind::kGlobal: return arena_.borrowed_string(value.as_global());
      case Kind::kOpaque: return opaque(value, depth);
      default: return value;
    }
  }

 private:
  Value text(Value value) { return arena_.string(plain_.text_of(value)); }

  Value sequence(Value original, int depth) {
    const bool tuple = original.kind() == Kind::kTuple || original.kind() == Kind::kFrozenSet;
    const Value made = arena_.sequence(tuple ? Kind::kTuple : Kind::kList);
    done_[original.identity()] = made;
    for (const Value& item : original.as_sequence().items) {
      made.as_sequence().items.push_back(arena_, convert(item, depth + 1));
    }
    return made;
  }

  // Keys have to be what a Python dict of plain values takes.
  Value key(Value value) {
    switch (value.kind()) {
      case Kind::kNone:
      case Kind::kBool:
      case Kind::kInt:
      case Kind::kFloat:
      case Kind::kString: return value;
      default: return text(value);
    }
  }

  void add_entries(Value made, std::span<const DictEntry> entries, int depth) {
    for (const DictEntry& entry : entries) {
      made.as_dict().append(arena_, key(entry.key), convert(entry.value, depth + 1));
    }
  }

  Value dict(Value original, int depth) {
    const DictNode& node = original.as_dict();
    const bool ordered = node.dict_class == DictClass::kOrderedDict;
    const Value made = arena_.dict(ordered ? DictClass::kOrderedDict : DictClass::kDict);
    done_[original.identity()] = made;
    add_entries(made, node.entries.span(), depth);
    return made;
  }

  Value tensor(Value original, int depth) {
    const TensorNode& node = original.as_tensor();
    if (node.python_class.empty() && node.attributes.is_none() &&
        node.layout == TensorLayout::kStrided)
      return original;
    const Value made = arena_.dict();
    done_[original.identity()] = made;
    DictNode& fields = made.as_dict();
    if (!node.python_class.empty())
      fields.append(arena_, "class", arena_.borrowed_string(node.python_class));
    if (node.layout == TensorLayout::kStrided) {
      fields.append(arena_, "tensor", arena_.tensor(node.tensor));
    } else {
      fields.append(arena_, "dtype", arena_.string(name(node.dtype)));
      const Value shape = arena_.list();
      for (const std::int64_t extent : node.shape())
        shape.as_sequence().items.push_back(arena_, Value::integer(extent));
      fields.append(arena_, "shape", shape);
      for (const auto& [part, value] : {std::pair("indices", node.other->indices),
                                        {"plain_indices", node.other->plain_indices},
                                        {"values", node.other->values}}) {
        if (!value.is_none()) fields.append(arena_, part, convert(value, depth + 1));
      }
    }
    if (!node.attributes.is_none())
      fields.append(arena_, "attributes", convert(node.attributes, depth + 1));
    return made;
  }

  Value array(const RecordNode& node, int depth) {
    const auto& fields = node.fields;
    if (fields.size() == 3 && fields[0].is_string() && fields[1].is_sequence() &&
        fields[2].kind() == Kind::kBytes) {
      const auto dtype = dtype_of(fields[0].as_string());
      Shape shape;
      for (const Value& extent : fields[1].as_sequence().items)
        shape.push_back(extent.if_int().value_or(-1));
      const Bytes bytes = fields[2].as_bytes();
      if (dtype &&
          static_cast<std::uint64_t>(count_elements(shape)) * item_size(*dtype) == bytes.size()) {
        return arena_.tensor(Tensor::copy_of(*dtype, shape, bytes));
      }
    }
    const Value made = arena_.dict();
    constexpr std::string_view kNames[] = {"dtype", "shape", "values"};
    for (std::size_t i = 0; i < fields.size() && i < 3; ++i)
      made.as_dict().append(arena_, kNames[i], convert(fields[i], depth + 1));
    return made;
  }

  Value record(Value original, int depth) {
    const RecordNode& node = original.as_record();
    switch (node.record_class) {
      case RecordClass::kSize: return fields_tuple(node, depth);
      case RecordClass::kNumpyScalar:
        if (const Value number = numpy_number(node); !number.is_none()) return number;
        return fields_tuple(node, depth);
      case RecordClass::kNumpyArray: {
        const Value made = array(node, depth);
        done_[original.identity()] = made;
        return made;
      }
      case RecordClass::kStorage:
      case RecordClass::kNumpyDType:
        return node.fields.empty() ? Value() : convert(node.fields[0], depth + 1);
      default: return text(original);
    }
  }

  Value fields_tuple(const RecordNode& node, int depth) {
    const Value made = arena_.tuple();
    for (const Value& field : node.fields)
      made.as_sequence().items.push_back(arena_, convert(field, depth + 1));
    return made;
  }

  Value opaque(Value original, int depth) {
    const OpaqueNode& node = original.as_opaque();
    const Value made = arena_.dict();
    done_[original.identity()] = made;
    DictNode& fields = made.as_dict();
    fields.append(arena_, "opaque", arena_.borrowed_string(node.name));
    for (const auto& [part, value] :
         {std::pair("args", node.args), {"kwargs", node.kwargs}, {"state", node.state}}) {
      if (!value.is_none()) fields.append(arena_, part, convert(value, depth + 1));
    }
    if (!node.items.empty()) {
      const Value items = arena_.list();
      fields.append(arena_, "items", items);
      for (const Value& item : node.items)
        items.as_sequence().items.push_back(arena_, convert(item, depth + 1));
    }
    if (!node.entries.empty()) {
      const Value entries = arena_.dict();
      fields.append(arena_, "entries", entries);
      add_entries(entries, node.entries.span(), depth);
    }
    return made;
  }

  Arena& arena_;
  PlainJson plain_;
  std::unordered_map<const void*, Value> done_;
};

}  // namespace

Value portable_value(Arena& arena, Value value) { return Porter(arena).convert(value, 0); }

}  // namespace reprise::store
