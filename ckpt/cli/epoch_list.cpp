#include "ckpt/cli/epoch_list.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace reprise::cli {

EpochList EpochList::parse(std::string_view text) {
  const auto number = [&](std::string_view digits, std::uint64_t when_empty) {
    if (digits.empty()) return when_empty;
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) {
      fail(Code::kUsage, "'{}' is no list of epochs; write it as 3:12 or 3,5,7", printable(text));
    }
    return value;
  };
  EpochList list;
  std::string_view rest = text;
  while (true) {
    const auto comma = std::min(rest.find(','), rest.size());
    const std::string_view item = rest.substr(0, comma);
    const auto colon = item.find(':');
    if (item.empty())
      fail(Code::kUsage, "'{}' is no list of epochs; write it as 3:12 or 3,5,7", printable(text));
    if (colon == std::string_view::npos) {
      const std::uint64_t epoch = number(item, 0);
      list.ranges_.emplace_back(epoch, epoch);
    } else {
      list.ranges_.emplace_back(
          number(item.substr(0, colon), 0),
          number(item.substr(colon + 1), std::numeric_limits<std::uint64_t>::max()));
      if (list.ranges_.back().second < list.ranges_.back().first)
        fail(Code::kUsage, "--epochs: {} ends before it begins", printable(item));
    }
    if (comma == rest.size()) return list;
    rest.remove_prefix(comma + 1);
  }
}

bool EpochList::contains(std::uint64_t epoch) const {
  return std::ranges::any_of(
      ranges_, [&](const auto& range) { return range.first <= epoch && epoch <= range.second; });
}

}  // namespace reprise::cli
