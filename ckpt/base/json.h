// JSON as the suite reads and writes it: keys keep the order they are written in.
#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace reprise {

using Json = nlohmann::ordered_json;

// Parses untrusted text. Nesting over `depth_limit` is refused before any memory
// is spent on it, so is a repeated key in one object.
// Errors: kCorrupt naming the byte and the reason; kCorrupt when `text` is not UTF-8.
Json parse_json(std::string_view text, std::size_t depth_limit = 64);

// Compact text; strings that are not UTF-8 are written with U+FFFD in place of the
// bad bytes, never an exception.
std::string dump_json(const Json& json, int indent = -1);

// `json[key]` with its type checked. `place` names the object in the message.
// Errors: kCorrupt when the key is missing or of another type.
const Json& require_object(const Json& json, std::string_view key, std::string_view place);
const Json& require_array(const Json& json, std::string_view key, std::string_view place);
std::string require_string(const Json& json, std::string_view key, std::string_view place);
std::uint64_t require_uint(const Json& json, std::string_view key, std::string_view place);

}  // namespace reprise
