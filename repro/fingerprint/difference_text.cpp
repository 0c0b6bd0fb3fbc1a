#include "repro/fingerprint/difference_text.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <vector>

namespace reprise::fingerprint {
namespace {

constexpr std::size_t kLongest = 300;
constexpr std::size_t kShortDigest = 12;

// 32 digits and more say no more to a reader than the first ones.
std::string shortened(const std::string& text) {
  const bool digest = text.size() >= 32 && text.find_first_not_of("0123456789abcdef") == text.npos;
  return digest ? text.substr(0, kShortDigest) + "..." : text;
}

std::string plain(const Json& value) {
  if (value.is_null()) return "(none)";
  return printable(value.is_string() ? shortened(value.get<std::string>()) : dump_json(value),
                   kLongest);
}

// An option and its value stand together, since either says little alone.
std::vector<std::string> options_of(const Json& command) {
  std::vector<std::string> out;
  bool takes_value = false;
  for (const Json& item : command) {
    const std::string word = item.is_string() ? item.get<std::string>() : dump_json(item);
    const bool option = word.starts_with("-");
    if (takes_value && !option) {
      out.back() += " " + word;
    } else {
      out.push_back(word);
    }
    takes_value = option && word.find('=') == word.npos;
  }
  return out;
}

std::vector<std::string> items_of(std::string_view field, const Json& list) {
  if (field == "command") return options_of(list);
  std::vector<std::string> out;
  for (const Json& item : list) {
    out.push_back(item.is_string() ? item.get<std::string>() : dump_json(item));
  }
  return out;
}

std::string without(const std::vector<std::string>& items, const std::vector<std::string>& others) {
  std::string out;
  for (const std::string& item : items) {
    if (std::ranges::find(others, item) != others.end()) continue;
    out += (out.empty() ? "" : " ") + item;
    if (out.size() > kLongest) break;
  }
  return out.empty() ? "(nothing more)" : printable(out, kLongest);
}

}  // namespace

DifferenceText text_of(std::string_view field, const Json& a, const Json& b) {
  if (!a.is_array() || !b.is_array()) return {plain(a), plain(b)};
  const std::vector<std::string> in_a = items_of(field, a), in_b = items_of(field, b);
  const DifferenceText text = {without(in_a, in_b), without(in_b, in_a)};
  // The same items in another order, or another number of times: both as they are.
  return text.a == text.b ? DifferenceText{plain(a), plain(b)} : text;
}

}  // namespace reprise::fingerprint
