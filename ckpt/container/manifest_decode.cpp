#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/base/sha256.h"
#include "ckpt/container/manifest.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <limits>

namespace reprise::container {

namespace {

// Each level of values takes at most three of JSON: object, array of pairs, pair.
constexpr std::size_t kJsonDepthLimit = 3 * kDepthLimit + 8;

// Kinds whose value is text.
constexpr std::array<std::string_view, 7> kTextWords = {"float", "int",       "bigint", "string",
                                                        "bytes", "bytearray", "global"};

template <typename Words>
std::optional<std::size_t> index_of(const Words& words, std::string_view word) {
  const auto found = std::find(words.begin(), words.end(), word);
  return found == words.end() ? std::nullopt
                              : std::optional(static_cast<std::size_t>(found - words.begin()));
}

template <typename Integer>
std::optional<Integer> parse_number(std::string_view text, int base) {
  Integer number{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  const bool whole = problem == std::errc() && end == text.data() + text.size() && !text.empty();
  return whole ? std::optional(number) : std::nullopt;
}

class Decoder {
 public:
  Decoder(std::span<const Tensor> tensors, Arena& arena) : tensors_(tensors), arena_(arena) {}

  Value value(const Json& json) {
    switch (json.type()) {
      case Json::value_t::null: return {};
      case Json::value_t::boolean: return Value::boolean(json.get<bool>());
      case Json::value_t::number_integer: return Value::integer(json.get<std::int64_t>());
      case Json::value_t::number_unsigned: return unsigned_integer(json.get<std::uint64_t>());
      case Json::value_t::number_float: return Value::real(json.get<double>());
      case Json::value_t::string: return arena_.string(json.get_ref<const std::string&>());
      case Json::value_t::object: return object(json);
      default: wrong("an array where a value was expected");
    }
  }

 private:
  [[noreturn]] static void wrong(std::string_view what) {
    fail(Code::kCorrupt, "manifest: {}; the file was not written by this suite or is damaged",
         what);
  }

  static Value unsigned_integer(std::uint64_t number) {
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      wrong("an integer over 2^63");
    }
    return Value::integer(static_cast<std::int64_t>(number));
  }

  static const Json* member(const Json& object, std::string_view key) {
    const auto found = object.find(key);
    return found == object.end() ? nullptr : &*found;
  }

  static const std::string& text(const Json& json, std::string_view what) {
    if (!json.is_string())
      wrong(fmt::format("'{}' is {}, text was expected", what, json.type_name()));
    return json.get_ref<const std::string&>();
  }

  static const Json& array(const Json& json, std::string_view what) {
    if (!json.is_array())
      wrong(fmt::format("'{}' is {}, an array was expected", what, json.type_name()));
    return json;
  }

  static bool flag(const Json& object, std::string_view key) {
    const Json* json = member(object, key);
    if (json == nullptr) return false;
    if (!json->is_boolean())
      wrong(fmt::format("'{}' is {}, true or false was expected", key, json->type_name()));
    return json->get<bool>();
  }

  Value optional_value(const Json& object, std::string_view key) {
    const Json* json = member(object, key);
    return json == nullptr ? Value() : value(*json);
  }

  // Remembers a node under its id before its children are read, so that they may
  // refer to it.
  Value remember(const Json& json, Value made) {
    if (const Json* id = member(json, "id")) {
      if (!id->is_number_unsigned() || id->get<std::uint64_t>() != known_.size()) {
        wrong("an id that is not the next one");
      }
      known_.push_back(made);
    }
    return made;
  }

  Value object(const Json& json) {
    if (json.empty()) wrong("an empty object");
    auto first = json.begin();
    if (first.key() == "id") ++first;
    if (first == json.end()) wrong("an object with nothing but an id");
    const std::string& key = first.key();
    const Json& body = first.value();

    if (key == "ref") return reference(body);
    if (key == "tensor") return tensor(json, body);
    if (key == "opaque") return opaque(json, body);
    if (const auto index = index_of(kDictWords, key))
      return mapping(json, body, static_cast<DictClass>(*index));
    if (const auto index = index_of(kSequenceWords, key)) {
      const Value made = remember(
          json, arena_.sequence(static_cast<Kind>(static_cast<std::size_t>(Kind::kList) + *index)));
      fill(array(body, key), made.as_sequence().items);
      return made;
    }
    if (const auto index = index_of(kRecordWords, key)) {
      const Value made = remember(json, arena_.record(static_cast<RecordClass>(*index), {}));
      fill(array(body, key), made.as_record().fields);
      return made;
    }
    if (key == "complex") {
      if (!body.is_array() || body.size() != 2) wrong("a complex number that is not a pair");
      return arena_.complex({real(body[0]), real(body[1])});
    }
    if (!index_of(kTextWords, key)) {
      fail(Code::kUnsupported,
           "manifest: a value of kind '{}', which this version does not know; "
           "use a newer version of this suite",
           printable(key, 40));
    }
    const std::string& content = text(body, key);
    if (key == "float") return Value::real(special_float(content));
    if (key == "int") {
      const auto number = parse_number<std::int64_t>(content, 10);
      if (!number) wrong(fmt::format("'{}' is no 64-bit integer", printable(content, 40)));
      return Value::integer(*number);
    }
    if (key == "bigint") return arena_.big_integer(as_bytes(from_hex(content)));
    if (key == "string") return arena_.string(from_hex(content));
    if (key == "bytes") return arena_.bytes(as_bytes(from_hex(content)));
    if (key == "bytearray") return remember(json, arena_.byte_array(as_bytes(from_hex(content))));
    if (key == "global") return arena_.global(content);
    fail(Code::kInternal, "a kind of value that kTextWords lists is not read");
  }

  double real(const Json& json) {
    const Value v = value(json);
    const auto number = v.if_number();
    if (!number) wrong("a number was expected");
    return *number;
  }

  static double special_float(std::string_view content) {
    if (content == "inf") return std::numeric_limits<double>::infinity();
    if (content == "-inf") return -std::numeric_limits<double>::infinity();
    if (content.starts_with("nan:")) {
      const auto bits = parse_number<std::uint64_t>(content.substr(4), 16);
      if (bits) return std::bit_cast<double>(*bits);
    }
    wrong(fmt::format("'{}' is no float", printable(content, 40)));
  }

  Value reference(const Json& body) {
    if (!body.is_number_unsigned() || body.get<std::uint64_t>() >= known_.size()) {
      wrong("a reference to a value that does not come before it");
    }
    return known_[body.get<std::uint64_t>()];
  }

  void fill(const Json& items, ArenaVector<Value>& out) {
    out.reserve(arena_, items.size());
    for (const Json& item : items) out.push_back(arena_, value(item));
  }

  void fill(const Json& pairs, ArenaVector<DictEntry>& out) {
    out.reserve(arena_, pairs.size());
    for (const Json& pair : pairs) {
      if (!pair.is_array() || pair.size() != 2) wrong("a dict entry that is not a pair");
      const Value key = value(pair[0]);
      out.push_back(arena_, {key, value(pair[1])});
    }
  }

  Value mapping(const Json& json, const Json& body, DictClass dict_class) {
    const Value made = remember(json, arena_.dict(dict_class));
    DictNode& dict = made.as_dict();
    fill(array(body, "dict"), dict.entries);
    dict.factory = optional_value(json, "factory");
    dict.attributes = optional_value(json, "state");
    return made;
  }

  Value tensor(const Json& json, const Json& body) {
    TensorNode node;
    std::shared_ptr<OtherLayout> other;
    if (body.is_null()) {
      const Json* layout = member(json, "layout");
      const auto index =
          layout == nullptr ? std::nullopt : index_of(kLayoutWords, text(*layout, "layout"));
      if (!index || *index == 0) wrong("a tensor without values and without a layout");
      node.layout = static_cast<TensorLayout>(*index);
      const Json* dtype = member(json, "dtype");
      const auto known = dtype == nullptr ? std::nullopt : dtype_from_name(text(*dtype, "dtype"));
      if (!known) wrong("a tensor of unknown dtype");
      node.dtype = *known;
      const Json* shape = member(json, "shape");
      if (shape == nullptr) wrong("a tensor without a shape");
      other = std::make_shared<OtherLayout>();
      for (const Json& extent : array(*shape, "shape")) {
        if (!extent.is_number_unsigned()) wrong("a shape that is not made of extents");
        other->shape.push_back(unsigned_integer(extent.get<std::uint64_t>()).as_int());
      }
      count_elements(other->shape);
      other->coalesced = flag(json, "coalesced");
      node.other = other;
    } else {
      if (!body.is_number_unsigned() || body.get<std::uint64_t>() >= tensors_.size()) {
        wrong(fmt::format("a tensor that is not one of the {} in the table", tensors_.size()));
      }
      node.tensor = tensors_[body.get<std::uint64_t>()];
      node.dtype = node.tensor.dtype();
    }
    node.parameter = flag(json, "parameter");
    node.requires_grad = flag(json, "requires_grad");
    if (const Json* python_class = member(json, "class")) {
      node.python_class = arena_.copy(text(*python_class, "class"));
    }
    const Value made = remember(json, arena_.tensor_node(std::move(node)));
    TensorNode& placed = made.as_tensor();
    if (other) {
      other->indices = optional_value(json, "indices");
      other->plain_indices = optional_value(json, "plain_indices");
      other->values = optional_value(json, "values");
    }
    placed.attributes = optional_value(json, "state");
    if (const Json* quantizer = member(json, "quantizer"))
      placed.quantizer = std::make_shared<Quantizer>(read_quantizer(*quantizer));
    return made;
  }

  Quantizer read_quantizer(const Json& json) {
    if (!json.is_object()) wrong("a quantizer that is no object");
    Quantizer q;
    q.per_channel = flag(json, "per_channel");
    const Value scale = optional_value(json, "scale");
    const Value zero_point = optional_value(json, "zero_point");
    const Value axis = optional_value(json, "axis");
    if (!scale.if_number() || !zero_point.if_int() || !axis.if_int())
      wrong("a quantizer without its numbers");
    q.scale = *scale.if_number();
    q.zero_point = *zero_point.if_int();
    q.axis = *axis.if_int();
    q.scales = optional_value(json, "scales");
    q.zero_points = optional_value(json, "zero_points");
    return q;
  }

  Value opaque(const Json& json, const Json& body) {
    const Value made = remember(json, arena_.opaque(arena_.copy(text(body, "opaque"))));
    OpaqueNode& node = made.as_opaque();
    node.args = optional_value(json, "args");
    node.kwargs = optional_value(json, "kwargs");
    if (const Json* items = member(json, "items")) fill(array(*items, "items"), node.items);
    if (const Json* entries = member(json, "entries"))
      fill(array(*entries, "entries"), node.entries);
    if (const Json* state = member(json, "state")) {
      node.state = value(*state);
      node.has_state = true;
    }
    return made;
  }

  std::span<const Tensor> tensors_;
  Arena& arena_;
  std::vector<Value> known_;
};

}  // namespace

Value decode_manifest(std::string_view json, std::span<const Tensor> tensors, Arena& arena) {
  if (json.size() > kManifestLimit) {
    fail(Code::kCorrupt, "manifest: {} bytes, at most {} were expected", json.size(),
         kManifestLimit);
  }
  return Decoder(tensors, arena).value(parse_json(json, kJsonDepthLimit));
}

}  // namespace reprise::container
