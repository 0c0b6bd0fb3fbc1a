// How much of a text that a file holds once may be written again where the file refers to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_set>

namespace reprise {

// A text of a megabyte takes three bytes to be referred to: what writes it out each time asks
// here first, so that a small file does not become a large one. Not for several threads.
class RepeatedText {
 public:
  explicit RepeatedText(std::uint64_t bytes_of_repeats) : left_(bytes_of_repeats) {}

  // Whether the text at `place` may be written: the first time always, for the file has
  // it; then as long as there is room. Short texts cost about what a value costs.
  bool admit(const void* place, std::size_t size) {
    if (size <= kShort || seen_.insert(place).second) return true;
    if (size > left_) return false;
    left_ -= size;
    return true;
  }

 private:
  static constexpr std::size_t kShort = 32;
  std::unordered_set<const void*> seen_;
  std::uint64_t left_;
};

}  // namespace reprise
