#include "ckpt/cli/write_target.h"

#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/base/progress.h"
#include "ckpt/container/tensor_names.h"
#include "ckpt/store/save.h"

#include <fmt/ranges.h>

namespace reprise::cli {

namespace {

// About what will be written: tied tensors are counted once for each name.
std::uint64_t bytes_of(const Checkpoint& checkpoint) {
  std::uint64_t bytes = 0;
  for (const auto& named : container::name_tensors(checkpoint.to_document()))
    bytes += named.tensor.size_bytes();
  return bytes;
}

}  // namespace

void check_target(const WriteTarget& target) {
  store::format_of(target.path);
  std::error_code failure;
  if (!target.overwrite &&
      std::filesystem::exists(std::filesystem::symlink_status(target.path, failure))) {
    fail(Code::kUsage, "{}: exists; choose another name, or give --overwrite",
         printable(target.path.native(), 4096));
  }
}

void write_target(const Checkpoint& checkpoint, const WriteTarget& target, Io& io) {
  const std::vector<std::string> lost = store::losses(checkpoint, store::format_of(target.path));
  if (!lost.empty() && !target.lossy) {
    fail(Code::kUnsupported, "{}: this format cannot hold {}; --lossy leaves it out",
         printable(target.path.native(), 4096), fmt::join(lost, ", "));
  }
  // What appeared since check_target() is not replaced either.
  const auto publish = target.overwrite ? container::Publish::kReplace : container::Publish::kNew;
  const store::SaveReport report = [&] {
    Progress progress("writing", bytes_of(checkpoint), ProgressUnit::kBytes, io.progress());
    return store::save_as(checkpoint, target.path,
                          {.jobs = io.jobs,
                           .publish = publish,
                           .on_bytes = [&](std::uint64_t bytes) { progress.add(bytes); }});
  }();
  if (io.json) {
    io.print_json({{"path", report.path.native()}, {"bytes", report.bytes}, {"lost", lost}});
    return;
  }
  io.print("{}\n", report.path.native());
  io.say("{} written{}", format_bytes(report.bytes),
         lost.empty() ? "" : fmt::format("; left out: {}", fmt::join(lost, ", ")));
}

}  // namespace reprise::cli
