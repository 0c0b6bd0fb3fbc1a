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
inline void publish(DurableFile& file, Publish how) {
  switch (how) {
    case Publish::kReplace: return file.publish();
    case Publish::kNew: return file.publish_new();
    case Publish::kOnTheWay: return file.publish_on_the_way();
  }
}

}  // namespace reprise::container
