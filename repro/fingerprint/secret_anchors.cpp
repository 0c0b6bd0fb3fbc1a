#include "repro/fingerprint/secret_anchors.h"

namespace reprise::fingerprint {

AnchorAutomaton::AnchorAutomaton() {
  states_.emplace_back();
  hits_.push_back(0);
  static_assert(kAnchors.size() <= 64);
  for (std::size_t i = 0; i < kAnchors.size(); ++i) {
    std::uint16_t state = 0;
    for (const char c : kAnchors[i].text) {
      std::uint16_t& next = states_[state][static_cast<unsigned char>(c)];
      if (next == 0) {
        next = static_cast<std::uint16_t>(states_.size());
        const std::uint16_t made = next;  // `next` dangles when states_ grows
        states_.emplace_back();
        hits_.push_back(0);
        state = made;
      } else {
        state = next;
      }
    }
    hits_[state] |= std::uint64_t{1} << i;
  }
  link();
}

// Completes the transitions breadth first and lets upper case go where lower case goes.
void AnchorAutomaton::link() {
  std::vector<std::uint16_t> queue;
  std::vector<std::uint16_t> fallback(states_.size(), 0);
  for (const std::uint16_t next : states_[0]) {
    if (next != 0) queue.push_back(next);
  }
  for (std::size_t at = 0; at < queue.size(); ++at) {
    const std::uint16_t state = queue[at];
    hits_[state] |= hits_[fallback[state]];
    for (std::size_t c = 0; c < 256; ++c) {
      std::uint16_t& next = states_[state][c];
      const std::uint16_t other = states_[fallback[state]][c];
      if (next == 0) {
        next = other;
      } else {
        fallback[next] = other;
        queue.push_back(next);
      }
    }
  }
  for (auto& row : states_) {
    for (std::size_t c = 'A'; c <= 'Z'; ++c) row[c] = row[c - 'A' + 'a'];
  }
}

}  // namespace reprise::fingerprint
