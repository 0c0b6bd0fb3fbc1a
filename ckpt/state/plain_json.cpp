#include "ckpt/state/plain_json.h"

#include "ckpt/base/sha256.h"
#include "ckpt/state/numpy_number.h"

#include <fmt/format.h>

#include <unordered_map>
#include <utility>

namespace reprise {

namespace {

// Deeper than any configuration that people write; recursion ends here too.
constexpr std::size_t kDeepest = 60;
constexpr std::string_view kTooLarge = "<too large>";

}  // namespace

// Whether this node, of so many values, may be written (again).
bool PlainJson::admit(Value node, std::size_t values) {
  if (seen_.insert(node.identity()).second) return true;
  if (values >= values_left_) return false;
  values_left_ -= values + 1;
  return true;
}

std::string PlainJson::text(std::string_view text) {
  return std::string(texts_.admit(text.data(), text.size()) ? text : kTooLarge);
}

std::string PlainJson::key_text(Value key, std::size_t depth) {
  if (const auto name = key.if_string()) return text(*name);
  const Json json = convert(key, depth + 1);
  return json.is_string() ? json.get<std::string>() : dump_json(json);
}

Json PlainJson::object(const DictNode& dict, std::size_t depth) {
  Json object = Json::object();
  auto& pairs = object.get_ref<Json::object_t&>();
  // Growing would copy what is there, all levels of it: keys are const.
  pairs.reserve(dict.entries.size());
  std::unordered_map<std::string, std::size_t> places;
  for (const DictEntry& entry : dict.entries) {
    std::string key = key_text(entry.key, depth);
    Json value = convert(entry.value, depth + 1);
    // Different keys may have one text, such as 1 and "1".
    const auto [place, is_new] = places.emplace(key, pairs.size());
    if (is_new) {
      pairs.push_back({std::move(key), std::move(value)});
    } else {
      pairs.data()[place->second].second = std::move(value);
    }
  }
  return object;
}

Json PlainJson::record(Value value, std::size_t depth) {
  const RecordNode& record = value.as_record();
  switch (record.record_class) {
    case RecordClass::kNumpyScalar:
      if (const Value number = numpy_number(record); !number.is_none())
        return convert(number, depth);
      return "<numpy scalar>";
    case RecordClass::kNumpyArray: return "<numpy array>";
    case RecordClass::kStorage: return "<storage>";
    case RecordClass::kPath: {
      std::string path;
      if (record.fields.size() == 2 && record.fields[1].is_sequence()) {
        const auto& parts = record.fields[1].as_sequence().items;
        if (!admit(value, parts.size())) return kTooLarge;
        for (const Value& part : parts) {
          if (!path.empty() && path != "/") path += '/';
          path += key_text(part, depth);
        }
      }
      return path;
    }
    default: {
      if (record.fields.size() == 1) return convert(record.fields[0], depth + 1);
      if (!admit(value, record.fields.size())) return kTooLarge;
      Json array = Json::array();
      for (const Value& field : record.fields) array.push_back(convert(field, depth + 1));
      return array;
    }
  }
}

Json PlainJson::convert(Value value, std::size_t depth) {
  if (depth > kDeepest) return "<nested too deeply>";
  switch (value.kind()) {
    case Kind::kNone: return nullptr;
    case Kind::kBool: return value.as_bool();
    case Kind::kInt: return value.as_int();
    case Kind::kFloat: return value.as_float();
    case Kind::kString: return text(value.as_string());
    case Kind::kBigInt: return "<integer over 64 bits>";
    case Kind::kComplex:
      return fmt::format("({}{:+}j)", value.as_complex().real(), value.as_complex().imag());
    case Kind::kBytes:
    case Kind::kByteArray: {
      const Bytes bytes = value.as_bytes();
      if (!texts_.admit(bytes.data(), bytes.size())) return kTooLarge;
      return to_hex(bytes);
    }
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kSet:
    case Kind::kFrozenSet: {
      const auto& items = value.as_sequence().items;
      if (!admit(value, items.size())) return kTooLarge;
      Json array = Json::array();
      array.get_ref<Json::array_t&>().reserve(items.size());
      for (const Value& item : items) array.push_back(convert(item, depth + 1));
      return array;
    }
    case Kind::kDict:
      if (!admit(value, value.as_dict().entries.size())) return kTooLarge;
      return object(value.as_dict(), depth);
    case Kind::kTensor: return "<tensor>";
    case Kind::kRecord: return record(value, depth);
    case Kind::kGlobal: return text(value.as_global());
    case Kind::kOpaque: return "<" + text(value.as_opaque().name) + ">";
  }
  return nullptr;
}

Json to_plain_json(Value value) { return PlainJson().convert(value); }

}  // namespace reprise
