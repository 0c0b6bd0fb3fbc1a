#include "ckpt/base/json.h"

#include "ckpt/base/error.h"

#include <set>
#include <utility>
#include <vector>

namespace reprise {

namespace {

// Builds the document through nlohmann's SAX interface, which lets us refuse
// depth and repeated keys while reading instead of after the fact.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(std::size_t depth_limit) : depth_limit_(depth_limit) {}

  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (!levels_.back().keys.insert(name).second) {
      fail(Code::kCorrupt, "JSON: key '{}' occurs twice in one object", printable(name, 80));
    }
    levels_.back().pending = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& problem) override {
    std::string_view reason = problem.what();
    if (const auto colon = reason.find("] "); colon != std::string_view::npos)
      reason.remove_prefix(colon + 2);
    fail(Code::kCorrupt, "JSON: byte {}: {}", position, printable(reason));
  }

 private:
  struct Level {
    Json value;
    std::string pending;
    std::set<std::string> keys;
    // Of an object: its own keys are const, so growing would copy what is there, all levels of it.
    std::vector<std::pair<std::string, Json>> members;
  };

  bool open(Json empty) {
    if (levels_.size() >= depth_limit_) {
      fail(Code::kCorrupt, "JSON: nested more than {} levels deep", depth_limit_);
    }
    levels_.push_back({std::move(empty), {}, {}, {}});
    return true;
  }

  bool close() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    Json done = std::move(level.value);
    if (done.is_object()) {
      auto& members = done.get_ref<Json::object_t&>();
      members.reserve(level.members.size());
      for (auto& [key, value] : level.members)
        members.push_back({std::move(key), std::move(value)});
    }
    return add(std::move(done));
  }

  bool add(Json value) {
    if (levels_.empty()) {
      root_ = std::move(value);
    } else if (Level& level = levels_.back(); level.value.is_array()) {
      level.value.push_back(std::move(value));
    } else {
      level.members.emplace_back(std::move(level.pending), std::move(value));
    }
    return true;
  }

  std::size_t depth_limit_;
  Json root_;
  std::vector<Level> levels_;
};

const Json& require(const Json& json, std::string_view key, std::string_view place,
                    std::string_view type, bool (*accepts)(const Json&)) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  if (!json.is_object() || found == json.end()) {
    fail(Code::kCorrupt, "{}: '{}' is missing, {} was expected", place, key, type);
  }
  if (!accepts(*found)) {
    fail(Code::kCorrupt, "{}: '{}' is {}, {} was expected", place, key, found->type_name(), type);
  }
  return *found;
}

}  // namespace

Json parse_json(std::string_view text, std::size_t depth_limit) {
  Builder builder(depth_limit);
  if (!Json::sax_parse(text, &builder)) fail(Code::kCorrupt, "JSON: malformed");
  return builder.take();
}

std::string dump_json(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

const Json& require_object(const Json& json, std::string_view key, std::string_view place) {
  return require(json, key, place, "an object", [](const Json& j) { return j.is_object(); });
}

const Json& require_array(const Json& json, std::string_view key, std::string_view place) {
  return require(json, key, place, "an array", [](const Json& j) { return j.is_array(); });
}

std::string require_string(const Json& json, std::string_view key, std::string_view place) {
  return require(json, key, place, "a string", [](const Json& j) { return j.is_string(); })
      .get<std::string>();
}

std::uint64_t require_uint(const Json& json, std::string_view key, std::string_view place) {
  return require(json, key, place, "a non-negative integer",
                 [](const Json& j) { return j.is_number_unsigned(); })
      .get<std::uint64_t>();
}

}  // namespace reprise
