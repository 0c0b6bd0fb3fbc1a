// How a finished file gets its name.
#pragma once

#include "ckpt/base/file.h"

#include <cstdint>

namespace reprise::container {

enum class Publish : std::uint8_t {
  kReplace,   // durably, over a file that is there
  kNew,       // durably; kIo when the target exists by then
  kOnTheWay,  // the file is durable, its name is not: for one that is renamed on
};

// Errors: those of DurableFile.
inline DurableFile create(const std::filesystem::path& target, Publish how) {
  return DurableFile(target, how != Publish::kOnTheWay);
}
inline void publish(DurableFile& file, Publish how) {
  how == Publish::kNew ? file.publish_new() : file.publish();
}

}  // namespace reprise::container
