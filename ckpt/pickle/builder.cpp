#include "ckpt/pickle/builder.h"

#include "ckpt/base/error.h"
#include "ckpt/pickle/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace reprise::pickle {

namespace {

// No known function takes as many; the parts of a path may be some.
constexpr std::size_t kMostArguments = 256;

// The last component of "module.Class".
std::string_view class_of(std::string_view full_name) {
  return full_name.substr(full_name.rfind('.') + 1);
}

bool is_latin1(std::string_view encoding) {
  return encoding == "latin1" || encoding == "latin-1" || encoding == "iso-8859-1";
}

// bytes(text, "latin1"): what _codecs.encode and bytearray of old protocols hold.
std::optional<std::string> encoded(std::span<const Value> args) {
  if (args.size() != 2 || !args[0].is_string() || !args[1].is_string()) return std::nullopt;
  if (!is_latin1(args[1].as_string())) return std::nullopt;
  return latin1_bytes(args[0].as_string());
}

// bytes([1, 2, 3]).
std::optional<std::string> listed_bytes(Value list) {
  if (list.kind() != Kind::kList && list.kind() != Kind::kTuple) return std::nullopt;
  std::string out;
  for (const Value item : list.as_sequence().items) {
    const auto number = item.if_int();
    if (!number || *number < 0 || *number > 255) return std::nullopt;
    out.push_back(static_cast<char>(*number));
  }
  return out;
}

std::optional<std::string> byte_content(std::span<const Value> args) {
  if (args.empty()) return "";
  if (args.size() == 1) {
    if (args[0].is_string()) return std::nullopt;
    if (const auto bytes = bytes_of(args[0])) return std::string(as_text(*bytes));
    return listed_bytes(args[0]);
  }
  return encoded(args);
}

std::optional<double> real_number(Value value) {
  if (const auto flag = value.if_bool()) return *flag ? 1.0 : 0.0;
  return value.if_number();
}

std::string_view describe(Value value) {
  switch (value.kind()) {
    case Kind::kNone: return "None";
    case Kind::kBool: return "a bool";
    case Kind::kInt:
    case Kind::kBigInt: return "an int";
    case Kind::kFloat: return "a float";
    case Kind::kComplex: return "a complex";
    case Kind::kString: return "a string";
    case Kind::kBytes: return "bytes";
    case Kind::kByteArray: return "a bytearray";
    case Kind::kList: return "a list";
    case Kind::kTuple: return "a tuple";
    case Kind::kSet: return "a set";
    case Kind::kFrozenSet: return "a frozenset";
    case Kind::kDict: return "a dict";
    case Kind::kTensor: return "a tensor";
    case Kind::kRecord: return "a library value";
    case Kind::kGlobal: return "a class or function";
    case Kind::kOpaque: return "an object of an unknown class";
  }
  return "a value";
}

}  // namespace

std::optional<Bytes> bytes_of(Value value) {
  if (value.kind() == Kind::kBytes || value.kind() == Kind::kByteArray) return value.as_bytes();
  if (value.is_string()) return as_bytes(value.as_string());
  return std::nullopt;
}

Value Builder::global(std::string_view full_name) {
  if (known_global(full_name) == Known::kTorchDType) {
    const std::array<Value, 1> field = {arena_.string(full_name.substr(6))};
    return arena_.record(RecordClass::kTorchDType, field);
  }
  return arena_.global(full_name);
}

Value Builder::record_call(Value callee, Value args, Value kwargs) {
  Value made;
  if (callee.kind() == Kind::kGlobal) {
    made = arena_.opaque(callee);
    made.as_opaque().args = args;
  } else if (callee.kind() == Kind::kOpaque) {
    // The result of one unknown call is called: getattr(a, "b")(c). The angle brackets
    // keep it apart from every Python name.
    made = arena_.opaque("<call>");
    const std::array<Value, 2> pair = {callee, args};
    made.as_opaque().args = arena_.tuple(pair);
  } else {
    fail(Code::kCorrupt, "{} is called; the file is damaged or not a pickle", describe(callee));
  }
  if (kwargs.is_dict() && !kwargs.as_dict().entries.empty()) made.as_opaque().kwargs = kwargs;
  return made;
}

Value Builder::sequence_of(Kind kind, Value items) {
  const Value made = arena_.sequence(kind);
  if (kind == Kind::kSet || kind == Kind::kFrozenSet) {
    keys_.add(arena_, made.as_sequence(), items.as_sequence().items.span());
  } else {
    made.as_sequence().items.append(arena_, items.as_sequence().items.span());
  }
  return made;
}

Value Builder::dict_of(DictClass dict_class, std::span<const Value> args, Value args_tuple,
                       Value callee) {
  const Value made = arena_.dict(dict_class);
  DictNode& dict = made.as_dict();
  if (dict_class == DictClass::kDefaultDict && !args.empty()) {
    dict.factory = args[0];
    args = args.subspan(1);
  }
  if (args.empty()) return made;
  if (args.size() == 1 && args[0].is_dict()) {
    dict.entries.append(arena_, args[0].as_dict().entries.span());
    return made;
  }
  // Python 2 wrote an OrderedDict as a list of pairs.
  if (args.size() != 1 || !args[0].is_sequence()) return record_call(callee, args_tuple, {});
  for (const Value pair : args[0].as_sequence().items) {
    if (!pair.is_sequence() || pair.as_sequence().items.size() != 2) {
      return record_call(callee, args_tuple, {});
    }
    keys_.add(arena_, dict, pair.as_sequence().items.span());
  }
  return made;
}

Value Builder::call(Value callee, Value args_tuple, Value kwargs) {
  const bool has_kwargs = kwargs.is_dict() && !kwargs.as_dict().entries.empty();
  if (callee.kind() != Kind::kGlobal || has_kwargs) return record_call(callee, args_tuple, kwargs);
  if (args_tuple.kind() != Kind::kTuple) {
    fail(Code::kCorrupt, "{} is called with {} in place of an argument tuple",
         printable(callee.as_global()), describe(args_tuple));
  }
  const std::string_view name = callee.as_global();
  const Known known = known_global(name);
  const auto args = args_tuple.as_sequence().items.span();
  if (known != Known::kNothing) {
    // Converting an argument costs its size, however often a file names it again.
    for (const Value arg : args.first(std::min<std::size_t>(args.size(), kMostArguments))) {
      if (const auto bytes = bytes_of(arg)) keys_.spend(bytes->size());
      if (arg.is_sequence()) keys_.spend(arg.as_sequence().items.size());
    }
    if (args.size() > kMostArguments) return record_call(callee, args_tuple, kwargs);
  }
  std::optional<Value> made;
  switch (known) {
    case Known::kNothing:
    case Known::kTorchDType:
    case Known::kStorageClass: break;
    case Known::kOrderedDict: return dict_of(DictClass::kOrderedDict, args, args_tuple, callee);
    case Known::kDefaultDict: return dict_of(DictClass::kDefaultDict, args, args_tuple, callee);
    case Known::kCounter: return dict_of(DictClass::kCounter, args, args_tuple, callee);
    case Known::kDict: return dict_of(DictClass::kDict, args, args_tuple, callee);
    case Known::kNamespace:
      if (args.empty()) return arena_.dict(DictClass::kNamespace);
      break;
    case Known::kSet:
    case Known::kFrozenSet:
    case Known::kList: {
      const Kind kind = known == Known::kSet    ? Kind::kSet
                        : known == Known::kList ? Kind::kList
                                                : Kind::kFrozenSet;
      if (args.empty()) return arena_.sequence(kind);
      if (args.size() == 1 && args[0].is_sequence()) return sequence_of(kind, args[0]);
      break;
    }
    case Known::kComplex:
      if (args.size() == 2) {
        const auto real = real_number(args[0]), imaginary = real_number(args[1]);
        if (real && imaginary) return arena_.complex({*real, *imaginary});
      }
      break;
    case Known::kByteArray:
      if (const auto content = byte_content(args)) return arena_.byte_array(as_bytes(*content));
      break;
    case Known::kBytes:
      if (const auto content = byte_content(args)) return arena_.bytes(as_bytes(*content));
      break;
    case Known::kCodecsEncode:
      if (const auto content = encoded(args)) return arena_.bytes(as_bytes(*content));
      break;
    case Known::kReconstructor:
      // Protocols 0 and 1 spell object.__new__(cls) like this.
      if (args.size() == 3 && args[0].kind() == Kind::kGlobal && args[1].kind() == Kind::kGlobal &&
          args[1].as_global() == "builtins.object" && args[2].is_none()) {
        if (known_global(args[0].as_global()) == Known::kReconstructor) break;
        return call(args[0], arena_.tuple());
      }
      break;
    case Known::kRebuildTensor:
    case Known::kRebuildTensorV2:
    case Known::kRebuildTensorV3:
    case Known::kRebuildParameter:
    case Known::kRebuildParameterWithState:
    case Known::kRebuildSparseTensor:
    case Known::kRebuildQTensor:
    case Known::kRebuildMetaTensor:
    case Known::kRebuildFromType:
    case Known::kParameterClass:
    case Known::kTorchSize:
    case Known::kTorchDevice:
    case Known::kTorchGetLayout: made = build_torch(arena_, known, args, tensor_bytes_left_); break;
    case Known::kNumpyScalar:
    case Known::kNumpyReconstruct:
    case Known::kNumpyFromBuffer:
    case Known::kNumpyDType: made = build_numpy(arena_, known, args); break;
    case Known::kDateTime:
    case Known::kDate:
    case Known::kTime:
    case Known::kTimeDelta:
    case Known::kPosixPath:
    case Known::kWindowsPath: made = build_library(arena_, known, class_of(name), args); break;
  }
  return made ? *made : record_call(callee, args_tuple, kwargs);
}

// Finding the fields of a record dtype costs their number squared.
void Builder::spend_on_members(Value state) {
  if (state.kind() != Kind::kTuple || state.as_sequence().items.size() < 5) return;
  const auto& items = state.as_sequence().items;
  if (!items[3].is_sequence() || !items[4].is_dict()) return;
  keys_.spend(items[3].as_sequence().items.size() * items[4].as_dict().entries.size());
}

void Builder::set_state(Value object, Value state) {
  switch (object.kind()) {
    case Kind::kOpaque: {
      OpaqueNode& node = object.as_opaque();
      node.state = state;
      node.has_state = true;
      return;
    }
    case Kind::kTensor: object.as_tensor().attributes = state; return;
    case Kind::kDict: {
      if (state.is_none()) return;
      if (!state.is_dict()) fail(Code::kCorrupt, "the state of a dict is {}", describe(state));
      DictNode& node = object.as_dict();
      if (node.dict_class != DictClass::kNamespace) {
        node.attributes = state;
        return;
      }
      if (&node == &state.as_dict()) return;
      for (const DictEntry& entry : state.as_dict().entries) {
        const std::array<Value, 2> pair = {entry.key, entry.value};
        keys_.add(arena_, node, pair);
      }
      return;
    }
    case Kind::kRecord: {
      RecordNode& node = object.as_record();
      if (node.record_class == RecordClass::kNumpyDType) {
        spend_on_members(state);
        return set_numpy_dtype_state(arena_, node, state);
      }
      if (node.record_class == RecordClass::kNumpyArray)
        return set_numpy_array_state(arena_, node, state);
      break;
    }
    case Kind::kGlobal:
      fail(Code::kCorrupt,
           "the class or function {} itself is given a state, which would change it in the "
           "process that loads the file; no checkpoint needs that",
           printable(object.as_global()));
    default: break;
  }
  fail(Code::kCorrupt, "{} is given a state; the file is damaged or not a pickle",
       describe(object));
}

}  // namespace reprise::pickle
