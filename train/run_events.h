// The event files of a run for TensorBoard, in RUN/tensorboard.
#pragma once

#include "ckpt/base/json.h"
#include "engine/data/dataset.h"
#include "repro/tensorboard/event_writer.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace reprise::train {

inline constexpr const char* kEventFolder = "tensorboard";

// Opens the event file of this process, and writes the settings into it; a new run adds its first
// training images. `metrics`: tags that the HParams tab shows beside the settings. Errors: kIo.
std::unique_ptr<tensorboard::EventWriter> open_events(const std::filesystem::path& run,
                                                      const Json& settings,
                                                      std::span<const std::string> metrics,
                                                      std::uint64_t update,
                                                      const engine::Dataset& images);

}  // namespace reprise::train
