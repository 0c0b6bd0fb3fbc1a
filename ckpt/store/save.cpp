#include "ckpt/store/save.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/pth_write.h"
#include "ckpt/container/safetensors.h"
#include "ckpt/store/portable_value.h"
#include "ckpt/store/references_to.h"
#include "ckpt/store/shared_save.h"
#include "ckpt/store/weights_file.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace reprise::store {
namespace fs = std::filesystem;

namespace {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// A rolling save is about to replace `target`. When some file needs the one that is
// there, it goes on under its persistent name.
void preserve_if_needed(const fs::path& target) {
  std::error_code failure;
  if (!fs::exists(target, failure)) return;
  const std::optional<fs::path> keeper = persistent_path_if_referenced(target);
  if (!keeper) return;
  // A second link, so that there is no moment without a file of either name.
  if (::link(target.c_str(), keeper->c_str()) == -1 && errno != EEXIST) {
    const bool without_links =
        errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK;
    if (!without_links) fail_errno(errno, keeper->native());
    copy_durably(target, *keeper, sha256_file(target));
  }
  sync_directory(keeper->parent_path());
}

// The document with everything that old or foreign files brought along in a form that
// torch.load(weights_only=True) rebuilds.
Document portable_document(const Checkpoint& checkpoint) {
  Checkpoint portable = checkpoint;
  portable.arena = std::make_shared<Arena>();
  portable.arena->keep_alive(checkpoint.arena);
  for (Value* value : {&portable.optimizer, &portable.scheduler, &portable.scaler, &portable.source,
                       &portable.unmapped}) {
    *value = portable_value(*portable.arena, *value);
  }
  return portable.to_document();
}

std::uint64_t write_file(const Checkpoint& checkpoint, const Document& document,
                         const fs::path& file, FileFormat format,
                         const container::WriteOptions& write) {
  switch (format) {
    case FileFormat::kHdf5: return container::write_hdf5(file, document, write).file_bytes;
    case FileFormat::kSafetensors: {
      const WeightsFile weights = to_weights_file(checkpoint);
      return container::write_safetensors(file, weights.tensors, weights.metadata, write)
          .file_bytes;
    }
    case FileFormat::kPth:
      // Weights-only: a file that Python must execute to read is not what anyone upgrades to.
      return container::write_pth(file, portable_document(checkpoint), write).file_bytes;
  }
  fail(Code::kInternal, "an unknown file format");
}

}  // namespace

SaveReport save(const Checkpoint& checkpoint, const fs::path& directory,
                const SaveOptions& options) {
  const Stopwatch clock;
  if (options.crew != nullptr && options.pth_twin) {
    fail(Code::kInternal, "a save with a .pth twin was to be shared");
  }
  SaveReport report;
  const Document document = checkpoint.to_document();
  remove_abandoned(directory);
  report.path = directory / checkpoint_name(checkpoint, options.kind);
  if (options.kind == SaveKind::kRolling) preserve_if_needed(report.path);
  container::WriteOptions write{.jobs = options.jobs};
  if (options.crew != nullptr) write.crew = {options.crew, occasion_of(checkpoint)};
  report.bytes = write_file(checkpoint, document, report.path, FileFormat::kHdf5, write);
  write.crew.reset();
  if (options.pth_twin) {
    report.twin = fs::path(report.path).replace_extension(".pth");
    report.bytes += write_file(checkpoint, document, *report.twin, FileFormat::kPth, write);
  }
  report.seconds = clock.seconds();
  return report;
}

FileFormat format_of(const fs::path& file) {
  std::string suffix = file.extension().string();
  std::ranges::transform(suffix, suffix.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  });
  if (suffix == ".h5" || suffix == ".hdf5") return FileFormat::kHdf5;
  if (suffix == ".pth" || suffix == ".pt") return FileFormat::kPth;
  if (suffix == ".safetensors") return FileFormat::kSafetensors;
  fail(Code::kUsage, "{}: the suffix says no format; use .h5, .pth or .safetensors",
       printable(file.native()));
}

std::vector<std::string> losses(const Checkpoint& checkpoint, FileFormat format) {
  std::vector<std::string> lost;
  if (format != FileFormat::kSafetensors) return lost;
  for (const auto& [dict_name, dict] : checkpoint.state_dicts()) {
    for (const auto& [name, tensor] : *dict) {
      if (!safetensors_name(tensor.dtype())) {
        lost.push_back(
            fmt::format("{}/{} ({})", dict_name, printable(name), reprise::name(tensor.dtype())));
      }
    }
  }
  const auto lose = [&](std::string_view field, bool present) {
    if (present) lost.emplace_back(field);
  };
  lose("optimizer", !checkpoint.optimizer.is_none());
  lose("loss_func", !checkpoint.loss_func.empty());
  lose("reprise/scheduler", !checkpoint.scheduler.is_none());
  lose("reprise/scaler", !checkpoint.scaler.is_none());
  lose("reprise/ema", !checkpoint.ema.empty());
  lose("reprise/source", !checkpoint.source.is_none());
  lose("reprise/unmapped", !checkpoint.unmapped.is_none());
  return lost;
}

SaveReport save_as(const Checkpoint& checkpoint, const fs::path& file,
                   const SaveAsOptions& options) {
  const Stopwatch clock;
  SaveReport report;
  const FileFormat format = format_of(file);
  report.path = file;
  report.bytes =
      write_file(checkpoint, checkpoint.to_document(), file, format,
                 {.jobs = options.jobs, .publish = options.publish, .on_bytes = options.on_bytes});
  report.seconds = clock.seconds();
  return report;
}

}  // namespace reprise::store
