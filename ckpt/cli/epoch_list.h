// Lists of epochs as people write them: "3:12", "3,5,7", "10:".
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise::cli {

// A value type: ranges, both ends inclusive.
class EpochList {
 public:
  // Errors: kUsage.
  static EpochList parse(std::string_view text);
  bool contains(std::uint64_t epoch) const;

 private:
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges_;
};

}  // namespace reprise::cli
