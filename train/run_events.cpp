#include "train/run_events.h"

#include "ckpt/base/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace reprise::train {
namespace {

constexpr std::uint64_t kPictures = 8;

void add_pictures(tensorboard::EventWriter& events, const engine::Dataset& images) {
  for (std::uint64_t id = 0; id < std::min(kPictures, images.size()); ++id) {
    try {
      const engine::Image image = images.read(id).image;
      events.image(
          0, fmt::format("train/sample {}", id),
          {static_cast<std::uint32_t>(image.width), static_cast<std::uint32_t>(image.height),
           static_cast<std::uint32_t>(image.channels), image.pixels});
    } catch (const Error& error) {
      // A sample that cannot be read is for the loader to refuse, which knows the options.
      if (error.code() == Code::kIo) throw;
    }
  }
}

}  // namespace

std::unique_ptr<tensorboard::EventWriter> open_events(const std::filesystem::path& run,
                                                      const Json& settings,
                                                      std::span<const std::string> metrics,
                                                      std::uint64_t update,
                                                      const engine::Dataset& images) {
  auto events =
      std::make_unique<tensorboard::EventWriter>(run / kEventFolder, update == 0 ? 0 : update + 1);
  events->settings(settings, metrics);
  if (update == 0) add_pictures(*events, images);
  return events;
}

}  // namespace reprise::train
