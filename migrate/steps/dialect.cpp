#include "migrate/steps/dialect.h"

#include "migrate/steps/draft.h"

#include <array>

namespace reprise::migrate {

Intake::Intake(Arena& arena, const DictNode& root) : copy_(copy_dict(arena, root)) {}

Value Intake::take(std::string_view key) {
  const Value value = copy_.as_dict().get(key);
  copy_.as_dict().erase(key);
  return value;
}

std::span<const DictEntry> Intake::rest() const { return copy_.as_dict().entries.span(); }

std::span<const Dialect> dialects() {
  static const std::array<Dialect, 10> all = {kVlpd,   kDistributedSod, kMmcv,      kMmengine,
                                              kXdpx,   kFacebookDino,   kLightning, kModule,
                                              kGroups, kPlain};
  return all;
}

}  // namespace reprise::migrate
