// builtin:digits: the ten digits drawn with a pen, each time by another hand.
#pragma once

#include "engine/data/image.h"

#include <cstdint>
#include <string_view>

namespace reprise::engine::digits {

inline constexpr std::uint64_t kTrainFirst = 0;
inline constexpr std::uint64_t kValidationFirst = 1U << 31;

// Which digit sample `index` shows; every ten samples in a row hold each digit once.
int label(std::uint64_t index);

// A grey picture of it: strokes with bent control points, turned, sheared, scaled and moved,
// on a ground with a gradient and noise; light on dark or dark on light. The same drawing at
// every size; a pure function, thread-safe, the same bytes on every machine. About 60 us at
// 32 x 32. kVersion is part of the digest of the set: it changes with the pictures.
// Errors: kUsage for a side under 12 or over 1024.
inline constexpr std::string_view kVersion = "1";
Image render(std::uint64_t index, int side);

}  // namespace reprise::engine::digits
