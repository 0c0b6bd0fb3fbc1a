// Checkpoints of other trainers: who wrote this, and how its content maps to version 5.
#pragma once

#include "ckpt/state/value.h"
#include "migrate/steps/step.h"

#include <span>
#include <string_view>

namespace reprise::migrate {

struct Dialect {
  std::string_view name;
  // Whether a document has the keys that this trainer writes.
  bool (*fits)(const Value& root, bool has_companion);
  // To version 5, save for the normal form that follows.
  StepResult (*adapt)(const Document& document, const UpgradeOptions& options);
};

// In the order in which they are named. `plain` is last and fits only where no other does, as
// `groups` before it, which HDF5 files alone are taken for.
std::span<const Dialect> dialects();

extern const Dialect kVlpd, kDistributedSod, kMmcv, kMmengine, kXdpx, kFacebookDino, kLightning,
    kModule, kGroups, kPlain;

// Takes keys off a foreign top level one by one; what is left over is not lost.
class Intake {
 public:
  Intake(Arena& arena, const DictNode& root);
  // The value of a key, taken off; none when it is absent.
  Value take(std::string_view key);
  // Entries that nobody took.
  std::span<const DictEntry> rest() const;

 private:
  Value copy_;
};

}  // namespace reprise::migrate
