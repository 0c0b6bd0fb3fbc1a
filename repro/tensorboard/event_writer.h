// Event files that TensorBoard reads: scalars, images, and what its HParams tab shows.
#pragma once

#include "ckpt/base/file.h"
#include "ckpt/base/json.h"
#include "repro/tensorboard/png.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace reprise::tensorboard {

using Scalars = std::span<const std::pair<std::string, double>>;

// One event file of one process. Each event is one write() and is in the kernel when the call
// returns. One thread at a time. Errors of every member: kIo.
class EventWriter {
 public:
  // Makes a file of its own in `folder`, which is made when it is missing. A TensorBoard that is
  // open already forgets what it read of steps from `first_step` on.
  EventWriter(const std::filesystem::path& folder, std::uint64_t first_step);

  void scalars(std::uint64_t step, Scalars values);
  void image(std::uint64_t step, std::string_view tag, const Picture& picture);

  // `settings`: option -> string, number or bool. `metrics`: tags of scalars to show beside them.
  void settings(const Json& settings, std::span<const std::string> metrics);
  // How the process ended, for the HParams tab.
  void end(bool success);

 private:
  void summary(std::uint64_t step, std::string_view value);
  void plugin(std::string_view tag, std::string_view data);
  void event(std::uint64_t step, std::uint32_t field, std::string_view content);

  File file_;
  std::uint64_t size_ = 0;
};

// Takes events of later steps than `step`, and torn ones, off all event files of `folder`: what
// resuming does, so that no step stands there twice. Errors: kIo.
void cut_back(const std::filesystem::path& folder, std::uint64_t step);

}  // namespace reprise::tensorboard
