#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/base/sha256.h"
#include "ckpt/container/manifest.h"
#include "ckpt/state/repeated_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

namespace reprise::container {

namespace {

// Longer components are cut: link names have to stay small for HDF5's heaps.
constexpr std::size_t kLongestComponent = 800;
constexpr std::int64_t kExactInDouble = std::int64_t{1} << 53;

template <typename Words, typename Enum>
std::string_view word(const Words& words, Enum value) {
  return words[static_cast<std::size_t>(value)];
}

// Bytes of the UTF-8 character at the front of `text`, or 0.
std::size_t utf8_length(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and numbers beyond U+10FFFF.
  if ((first == 0xe0 && at(1) < 0xa0) || (first == 0xed && at(1) > 0x9f) ||
      (first == 0xf0 && at(1) < 0x90) || (first == 0xf4 && at(1) > 0x8f)) {
    return 0;
  }
  return length;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// Gives each child of one group a component of its own.
class Components {
 public:
  std::string unique(std::string component) {
    const auto [known, is_new] = used_.emplace(component, 2);
    if (is_new) return component;
    // Goes on where the last search for this one ended: a key may come a million times.
    for (std::uint64_t& n = known->second;;) {
      std::string next = fmt::format("{}~{}", component, n++);
      if (used_.emplace(next, 2).second) return next;
    }
  }
  void reserve(std::string_view component) { used_.emplace(component, 2); }

 private:
  std::unordered_map<std::string, std::uint64_t> used_;  // with the number to try next
};

// Where a value is, as a chain up to the root: only tensors need the text, which is as long
// as the way is deep.
struct Path {
  const Path* parent = nullptr;
  std::string component;
  char separator = '/';
  std::size_t size = 0;  // of the text

  Path() = default;
  Path(const Path& above, std::string own, char by = '/')
      : parent(&above),
        component(std::move(own)),
        separator(by),
        size(above.size + (is_joined() ? 1 : 0) + component.size()) {}

  bool is(std::string_view top_level) const {
    return parent != nullptr && parent->size == 0 && separator == '/' && component == top_level;
  }

  std::string text() const {
    std::string text(size, separator);
    std::size_t end = size;
    for (const Path* at = this; at->parent != nullptr; at = at->parent) {
      end -= at->component.size();
      text.replace(end, at->component.size(), at->component);
      if (at->is_joined()) text[--end] = at->separator;
    }
    return text;
  }

 private:
  // A first component follows nothing, a companion of the root is "@what".
  bool is_joined() const { return separator != '/' || parent->size > 0; }
};

class Encoder {
 public:
  // `names_only`: the tensors and their names, no JSON.
  explicit Encoder(bool names_only) : names_only_(names_only) {}

  EncodedDocument encode(Value root) {
    count(root, 0);
    value(root, Path());
    return std::move(result_);
  }

 private:
  // Finds the nodes that occur more than once; only they get an id.
  void count(Value v, std::size_t depth) {
    // Text is written wherever it occurs: what is too large is refused before it is there.
    switch (v.kind()) {
      case Kind::kString: return add_text(v.as_string());
      case Kind::kGlobal: return add_text(v.as_global());
      case Kind::kBytes:
      case Kind::kBigInt: return add_text(as_text(v.as_bytes()), 2);
      case Kind::kOpaque: add_text(v.as_opaque().name); break;
      case Kind::kTensor: add_text(v.as_tensor().python_class); break;
      default: break;
    }
    if (!has_children(v) && v.kind() != Kind::kByteArray) return;
    if (depth > kDepthLimit) {
      fail(Code::kUnsupported,
           "values are nested more than {} levels deep, which the native format "
           "cannot hold",
           kDepthLimit);
    }
    if (++occurrences_[v.identity()] > 1) return;
    for_each_child(v, [&](Value child) { count(child, depth + 1); });
  }

  // `factor`: how many characters a byte is written as.
  void add_text(std::string_view text, std::uint64_t factor = 1) {
    if (names_only_) return;
    text_bytes_ += text.size() * factor;
    if (text_bytes_ > kManifestLimit || !texts_.admit(text.data(), text.size() * factor))
      fail_too_large();
  }

  [[noreturn]] static void fail_too_large() {
    fail(Code::kUnsupported,
         "what is not a tensor needs more than {} bytes of manifest, or more than {} for text that "
         "occurs before; keep large data in tensors",
         kManifestLimit, kRepeatedTextLimit);
  }

  static bool has_children(Value v) {
    return v.is_sequence() || v.is_dict() || v.is_tensor() || v.kind() == Kind::kRecord ||
           v.kind() == Kind::kOpaque;
  }

  template <typename Visit>
  static void for_each_child(Value v, Visit visit) {
    if (v.is_sequence()) {
      for (const Value item : v.as_sequence().items) visit(item);
    } else if (const DictNode* dict = v.if_dict()) {
      for (const auto& [key, item] : dict->entries) {
        visit(key);
        visit(item);
      }
      visit(dict->factory);
      visit(dict->attributes);
    } else if (const TensorNode* tensor = v.if_tensor()) {
      visit(tensor->attributes);
      if (tensor->quantizer) {
        visit(tensor->quantizer->scales);
        visit(tensor->quantizer->zero_points);
      }
      if (tensor->other) {
        visit(tensor->other->indices);
        visit(tensor->other->plain_indices);
        visit(tensor->other->values);
      }
    } else if (v.kind() == Kind::kRecord) {
      for (const Value field : v.as_record().fields) visit(field);
    } else if (const OpaqueNode* opaque = v.if_opaque()) {
      visit(opaque->args);
      visit(opaque->kwargs);
      visit(opaque->state);
      for (const Value item : opaque->items) visit(item);
      for (const auto& [key, item] : opaque->entries) {
        visit(key);
        visit(item);
      }
    }
  }

  std::string& json() { return result_.json; }

  void put(std::string_view text) {
    if (names_only_) return;
    if (json().size() + text.size() > kManifestLimit) fail_too_large();
    json() += text;
  }

  void put_text(std::string_view text) {
    if (names_only_) return;
    if (std::ranges::all_of(text, is_plain)) {
      put("\"");
      put(text);
      put("\"");
    } else if (is_utf8(text)) {
      put(Json(std::string(text)).dump());
    } else {
      put(fmt::format(R"({{"string":"{}"}})", to_hex(as_bytes(text))));
    }
  }

  // A character that stands for itself in JSON.
  static bool is_plain(char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

  void put_float(double value) {
    if (names_only_) return;
    if (std::isfinite(value)) {
      std::string text = fmt::format("{}", value);  // shortest text that reads back exactly
      if (text.find_first_of(".e") == std::string::npos) text += ".0";
      put(text);
    } else if (std::isinf(value)) {
      put(value > 0 ? R"({"float":"inf"})" : R"({"float":"-inf"})");
    } else {
      put(fmt::format(R"({{"float":"nan:{:016x}"}})", std::bit_cast<std::uint64_t>(value)));
    }
  }

  void put_int(std::int64_t value) {
    if (names_only_) return;
    const bool exact = value >= -kExactInDouble && value <= kExactInDouble;
    put(exact ? fmt::format("{}", value) : fmt::format(R"({{"int":"{}"}})", value));
  }

  void put_hex(std::string_view key, Bytes bytes) {
    if (names_only_) return;
    put(fmt::format(R"({{"{}":"{}"}})", key, to_hex(bytes)));
  }

  void value(Value v, const Path& path) {
    switch (v.kind()) {
      case Kind::kNone: return put("null");
      case Kind::kBool: return put(v.as_bool() ? "true" : "false");
      case Kind::kInt: return put_int(v.as_int());
      case Kind::kBigInt: return put_hex("bigint", v.as_bytes());
      case Kind::kFloat: return put_float(v.as_float());
      case Kind::kComplex:
        put(R"({"complex":[)");
        put_float(v.as_complex().real());
        put(",");
        put_float(v.as_complex().imag());
        return put("]}");
      case Kind::kString: return put_text(v.as_string());
      case Kind::kBytes: return put_hex("bytes", v.as_bytes());
      case Kind::kGlobal:
        put(R"({"global":)");
        put_text(v.as_global());
        return put("}");
      default: break;
    }
    if (reference(v, path)) return;
    put("{");
    if (occurrences_[v.identity()] > 1) {
      ids_.emplace(v.identity(), ids_.size());
      put(fmt::format(R"("id":{},)", ids_.size() - 1));
    }
    if (v.kind() == Kind::kByteArray) {
      put(R"("bytearray":")");
      if (!names_only_) put(to_hex(v.as_bytes()));
      put("\"");
    } else if (v.is_sequence()) {
      sequence(v, path);
    } else if (const DictNode* dict = v.if_dict()) {
      mapping(*dict, path);
    } else if (const TensorNode* tensor_node = v.if_tensor()) {
      tensor(*tensor_node, path);
    } else if (v.kind() == Kind::kRecord) {
      record(v.as_record(), path);
    } else {
      opaque(v.as_opaque(), path);
    }
    put("}");
  }

  // Writes a node that was written before as a reference to it. A tensor is listed
  // under this name, too.
  bool reference(Value v, const Path& path) {
    const auto known = ids_.find(v.identity());
    if (known == ids_.end()) return false;
    put(fmt::format(R"({{"ref":{})", known->second));
    const TensorNode* node = v.if_tensor();
    if (node != nullptr && node->layout == TensorLayout::kStrided) {
      const std::size_t others = result_.tensors.size() - repeated_tensors_;
      if (++repeated_tensors_ > kRepeatedTensorsLimit + others) {
        fail(Code::kUnsupported,
             "{} tensors occur again under more than {} other names, each of which would be listed",
             others, repeated_tensors_ - 1);
      }
      put(R"(,"tensor":)");
      put_tensor_index(*node, path);
    }
    put("}");
    return true;
  }

  static Path join(const Path& path, std::string component) { return {path, std::move(component)}; }
  // A companion of what lies at `path`, beside it.
  static Path companion(const Path& path, std::string what) { return {path, std::move(what), '@'}; }

  void sequence(Value v, const Path& path) {
    const auto index = static_cast<std::size_t>(v.kind()) - static_cast<std::size_t>(Kind::kList);
    put(fmt::format(R"("{}":[)", kSequenceWords[index]));
    std::size_t i = 0;
    for (const Value item : v.as_sequence().items) {
      if (i > 0) put(",");
      if (has_children(item)) {
        value(item, join(path, fmt::format("{}", i)));
      } else {
        value(item, path);
      }
      ++i;
    }
    put("]");
  }

  void mapping(const DictNode& dict, const Path& path) {
    put(fmt::format(R"("{}":)", word(kDictWords, dict.dict_class)));
    Components components;
    if (path.is("reprise")) {
      // The container's own datasets live in the same group.
      for (const std::string_view own : {"manifest", "tensors", "shapes", "digests", "names"}) {
        components.reserve(own);
      }
    }
    entries(dict.entries, path, components);
    if (dict.dict_class == DictClass::kDefaultDict) {
      put(R"(,"factory":)");
      value(dict.factory, companion(path, "factory"));
    }
    if (!dict.attributes.is_none()) {
      put(R"(,"state":)");
      value(dict.attributes, companion(path, "attributes"));
    }
  }

  void entries(const ArenaVector<DictEntry>& entries, const Path& path, Components& components) {
    put("[");
    std::size_t i = 0;
    for (const auto& [key, item] : entries) {
      if (i > 0) put(",");
      put("[");
      if (has_children(key)) {
        value(key, join(path, fmt::format("@key{}", i)));
      } else {
        value(key, path);
      }
      put(",");
      if (has_children(item)) {
        value(item, join(path, components.unique(component_of(key, i))));
      } else {
        value(item, path);
      }
      put("]");
      ++i;
    }
    put("]");
  }

  static std::string component_of(Value key, std::size_t position) {
    if (key.is_string()) return escape_component(key.as_string());
    if (key.kind() == Kind::kInt) return fmt::format("{}", key.as_int());
    return fmt::format("@{}", position);
  }

  void put_tensor_index(const TensorNode& node, const Path& path) {
    name_bytes_ += path.size;
    if (name_bytes_ > kNamesLimit) {
      fail(Code::kUnsupported,
           "the names of tensors, which are their paths, need more than {} bytes", kNamesLimit);
    }
    put(fmt::format("{}", result_.tensors.size()));
    result_.tensors.push_back({path.size == 0 ? "@root" : path.text(), node.tensor});
  }

  void tensor(const TensorNode& node, const Path& path) {
    put(R"("tensor":)");
    if (node.layout == TensorLayout::kStrided) {
      put_tensor_index(node, path);
    } else {
      put(fmt::format(R"(null,"layout":"{}","dtype":"{}","shape":[{}])",
                      word(kLayoutWords, node.layout), name(node.dtype),
                      fmt::join(node.shape(), ",")));
      if (node.other->coalesced) put(R"(,"coalesced":true)");
      member("indices", node.other->indices, companion(path, "indices"));
      member("plain_indices", node.other->plain_indices, companion(path, "plain_indices"));
      member("values", node.other->values, companion(path, "values"));
    }
    if (node.parameter) put(R"(,"parameter":true)");
    if (node.requires_grad) put(R"(,"requires_grad":true)");
    if (!node.python_class.empty()) {
      put(R"(,"class":)");
      put_text(node.python_class);
    }
    member("state", node.attributes, companion(path, "attributes"));
    if (node.quantizer) quantizer(*node.quantizer, path);
  }

  void quantizer(const Quantizer& q, const Path& path) {
    put(fmt::format(R"(,"quantizer":{{"per_channel":{},"scale":)", q.per_channel));
    put_float(q.scale);
    put(R"(,"zero_point":)");
    put_int(q.zero_point);
    put(R"(,"axis":)");
    put_int(q.axis);
    member("scales", q.scales, companion(path, "scales"));
    member("zero_points", q.zero_points, companion(path, "zero_points"));
    put("}");
  }

  void member(std::string_view key, Value v, const Path& path) {
    if (v.is_none()) return;
    put(fmt::format(R"(,"{}":)", key));
    value(v, path);
  }

  void record(const RecordNode& node, const Path& path) {
    put(fmt::format(R"("{}":[)", word(kRecordWords, node.record_class)));
    std::size_t i = 0;
    for (const Value field : node.fields) {
      if (i > 0) put(",");
      // A bare storage is one tensor and takes its owner's name.
      if (node.fields.size() == 1 || !has_children(field)) {
        value(field, path);
      } else {
        value(field, join(path, fmt::format("{}", i)));
      }
      ++i;
    }
    put("]");
  }

  void opaque(const OpaqueNode& node, const Path& path) {
    put(R"("opaque":)");
    put_text(node.name);
    member("args", node.args, join(path, "@args"));
    member("kwargs", node.kwargs, join(path, "@kwargs"));
    if (!node.items.empty()) {
      put(R"(,"items":[)");
      std::size_t i = 0;
      for (const Value item : node.items) {
        if (i > 0) put(",");
        value(item, join(path, fmt::format("@items/{}", i++)));
      }
      put("]");
    }
    if (!node.entries.empty()) {
      put(R"(,"entries":)");
      Components components;
      entries(node.entries, join(path, "@entries"), components);
    }
    if (node.has_state) {
      put(R"(,"state":)");
      value(node.state, join(path, "@state"));
    }
  }

  bool names_only_;
  EncodedDocument result_;
  std::uint64_t name_bytes_ = 0;
  std::uint64_t text_bytes_ = 0;
  std::size_t repeated_tensors_ = 0;
  RepeatedText texts_{kRepeatedTextLimit};
  std::unordered_map<const void*, std::size_t> occurrences_;
  std::unordered_map<const void*, std::size_t> ids_;
};

}  // namespace

std::string escape_component(std::string_view key) {
  if (key.empty()) return "%";
  std::string out;
  for (std::size_t i = 0; i < key.size();) {
    const std::size_t length = utf8_length(key.substr(i));
    const auto c = static_cast<unsigned char>(key[i]);
    const bool odd = length == 0 || c < 0x20 || c == 0x7f || c == '/' || c == '%' || c == '@';
    const bool dots = i == 0 && (key == "." || key == "..");
    if (odd || dots) {
      out += fmt::format("%{:02X}", c);
      ++i;
    } else {
      out += key.substr(i, length);
      i += length;
    }
  }
  if (out.size() > kLongestComponent) {
    const std::string mark = "~" + sha256(key).hex().substr(0, 32);
    std::size_t keep = kLongestComponent - mark.size();
    while (keep > 0 && (static_cast<unsigned char>(out[keep]) & 0xc0) == 0x80) --keep;
    out = out.substr(0, keep) + mark;
  }
  return out;
}

EncodedDocument encode_manifest(Value root) { return Encoder(false).encode(root); }

std::vector<NamedTensor> name_tensors(const Document& document) {
  return Encoder(true).encode(document.root).tensors;
}

}  // namespace reprise::container
