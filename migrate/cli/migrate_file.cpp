#include "migrate/cli/migrate_file.h"

#include "ckpt/base/file.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/store/save.h"
#include "ckpt/store/upgraded_file.h"
#include "migrate/cli/read_back.h"
#include "migrate/cli/swap.h"
#include "migrate/steps/draft.h"

#include <exception>
#include <future>
#include <stop_token>

namespace reprise::migrate {
namespace fs = std::filesystem;

namespace {

// A file from here on is worth making its digest beside other work.
constexpr std::uint64_t kLargeFileBytes = 64u << 20;

// Whether `target` is what an earlier run made of the source with this digest.
bool holds(const fs::path& target, const std::string& source_sha256) {
  const Checkpoint checkpoint = store::load(target.native(), {.verify = false});
  const DictNode* source = checkpoint.source.if_dict();
  return source != nullptr && source->get("sha256").if_string() == source_sha256;
}

void describe(FileReport& report, const store::UpgradedFile& file) {
  report.container = file.container;
  report.schema = file.upgraded.schema;
  report.dialect = file.upgraded.dialect;
  report.steps = file.upgraded.steps;
  report.unmapped = file.upgraded.unmapped;
  report.type = to_string(file.checkpoint.type);
  report.uuid = file.checkpoint.uuid.text();
  report.arch = file.checkpoint.arch;
  report.resumable = file.checkpoint.resumable();
  for (const auto& [name, tensor] : tensors_of(file.checkpoint)) {
    ++report.tensors;
    report.tensor_bytes += tensor.size_bytes();
  }
}

// The SHA-256 of the source: one long chain, made when it is asked for, or beside something else.
class SourceDigest {
 public:
  explicit SourceDigest(fs::path source) : source_(std::move(source)) {}
  ~SourceDigest() { stop_.request_stop(); }
  SourceDigest(const SourceDigest&) = delete;
  SourceDigest& operator=(const SourceDigest&) = delete;

  void start() {
    if (!hex_.valid()) launch(std::launch::async);
  }
  std::string get() {
    if (!hex_.valid()) launch(std::launch::deferred);
    return hex_.get();
  }

 private:
  void launch(std::launch how) {
    hex_ = std::async(how, [source = source_, stop = stop_.get_token()] {
      return sha256_file(source, stop).hex();
    });
  }

  fs::path source_;
  std::stop_source stop_;
  std::shared_future<std::string> hex_;  // goes first, and waits
};

// Names the source's digest in the result, so that a later run knows its own work.
Checkpoint with_source_digest(const store::UpgradedFile& file, const std::string& sha256) {
  Draft draft(file.upgraded.document);
  draft.set_source("sha256", draft.arena().string(sha256));
  return Checkpoint::from(draft.finish());
}

// The last act of a swap: the original goes, after it was made safe in the backup.
void retire_source(const Item& item, FileReport& report, GroupSync& syncs) {
  if (!item.backup) return;
  report.backup = item.backup;
  if (item.source == item.target) return;  // the result took its name
  keep_backup(item.source, *item.backup, Digest::from_hex(report.source_sha256), syncs);
  remove_durably(item.source, syncs);
}

// Whether there is nothing to do: version 5 in the wanted container.
bool is_done(const store::UpgradedFile& file, const fs::path& target) {
  const std::string_view wanted = target.extension() == ".h5" ? "hdf5" : "pth-zip";
  return file.container == wanted && file.upgraded.schema == kSchemaVersion &&
         file.upgraded.steps.empty();
}

// Writes the result and compares it with the source. Of a large one the source's digest is made
// while the result is read back: the disk is what that waits for, where writing waits for the
// cores.
void write_and_compare(const fs::path& result, const FileOptions& options,
                       const store::UpgradedFile& file, SourceDigest& digest, bool digest_last) {
  const store::SaveAsOptions save{
      .jobs = options.jobs, .publish = container::Publish::kOnTheWay, .on_bytes = options.on_bytes};
  if (!digest_last) {
    const Checkpoint checkpoint = with_source_digest(file, digest.get());
    store::save_as(checkpoint, result, save);
    return compare_with_source(checkpoint, result, {options.jobs, options.on_bytes});
  }
  // Nobody can guess it, so that nothing in the source is taken for it.
  const std::string placeholder = reprise::sha256(Uuid::random().text()).hex();
  const Checkpoint checkpoint = with_source_digest(file, placeholder);
  store::save_as(checkpoint, result, save);
  digest.start();
  compare_with_source(checkpoint, result, {options.jobs, options.on_bytes});
  container::amend_hdf5(result, placeholder, digest.get());
  if (!holds(result, digest.get()))
    fail(Code::kIo, "the manifest reads back differently; nothing was published");
}

void migrate_into_place(const Item& item, const FileOptions& options,
                        const store::UpgradedFile& file, SourceDigest& digest, FileReport& report,
                        GroupSync& syncs) {
  // Tensors read in the wrong place or of the wrong version never get this far, so
  // the source may be replaced once its copy has been compared.
  make_directories(item.target.parent_path());
  const bool native = store::format_of(item.target) == store::FileFormat::kHdf5;
  std::error_code ignored;
  const bool large = fs::file_size(item.source, ignored) >= kLargeFileBytes && !ignored;
  Unpublished result(item.target);
  try {
    write_and_compare(result.path(), options, file, digest, native && large);
    report.source_sha256 = digest.get();
  } catch (const Error& error) {
    // Messages name the file that the user knows, not the one that is gone by then.
    std::string text = error.what();
    const std::string& inner = result.path().native();
    for (auto at = text.find(inner); at != std::string::npos; at = text.find(inner, at)) {
      text.replace(at, inner.size(), item.target.native());
    }
    throw Error(error.code(), text);
  }
  if (item.backup)
    keep_backup(item.source, *item.backup, Digest::from_hex(report.source_sha256), syncs);
  result.publish(item.backup && item.source == item.target, syncs);
  retire_source(item, report, syncs);
}

void migrate_one(const Item& item, const FileOptions& options, FileReport& report,
                 GroupSync& syncs) {
  if (!item.problem.empty()) fail(Code::kUsage, "{}: {}", item.source.native(), item.problem);
  // Checksums are compared as tensors are read, which all of them are on the way to the result.
  store::LoadOptions load{.verify = options.plan,
                          .jobs = options.jobs,
                          .dialect = options.dialect,
                          .arch = options.arch,
                          .arch_head = options.arch_head};
  SourceDigest digest(item.source);
  const store::UpgradedFile file = store::open_upgraded(item.source, load);
  describe(report, file);
  if (is_done(file, item.target)) {
    load.verify = true;
    store::open_upgraded(item.source, load);
    report.source_sha256 = digest.get();
    report.skipped = "a version-5 checkpoint already";
    return;
  }
  if (item.source != item.target && fs::exists(item.target)) {
    report.source_sha256 = digest.get();
    if (!holds(item.target, report.source_sha256)) {
      fail(Code::kUsage,
           "{}: exists and was not made from {}; move it away or choose another directory with -o",
           item.target.native(), item.source.native());
    }
    report.already_done = true;
    // A swap may have been interrupted right before.
    if (!options.plan) retire_source(item, report, syncs);
    return;
  }
  if (options.plan) {
    report.source_sha256 = digest.get();
    return;
  }
  migrate_into_place(item, options, file, digest, report, syncs);
}

}  // namespace

FileReport migrate_file(const Item& item, const FileOptions& options, GroupSync& syncs) {
  FileReport report;
  report.source = item.source;
  report.target = item.target;
  try {
    migrate_one(item, options, report, syncs);
    report.ok = true;
  } catch (const Error& error) {
    report.error = error.what();
    report.exit_code = error.exit_code();
  } catch (const std::exception& error) {
    // Out of memory, say: one file's trouble must not end the batch.
    report.error = fmt::format("{}: {}", item.source.native(), error.what());
    report.exit_code = static_cast<int>(code_of(error));
  }
  return report;
}

Json FileReport::json() const {
  Json json = {{"source", source.native()},
               {"target", skipped.empty() ? Json(target.native()) : Json(nullptr)}};
  if (backup) json["backup"] = backup->native();
  json["container"] = container.empty() ? Json(nullptr) : Json(container);
  json["dialect"] = dialect ? Json(*dialect) : Json(nullptr);
  json["from"] = schema ? Json(*schema) : Json(nullptr);
  json["to"] = kSchemaVersion;
  json["steps"] = Json::array();
  for (const StepReport& step : steps)
    json["steps"].push_back({{"step", step.step}, {"changed", step.changed}});
  json["unmapped"] = unmapped;
  json["type"] = type.empty() ? Json(nullptr) : Json(type);
  json["uuid"] = uuid.empty() ? Json(nullptr) : Json(uuid);
  json["arch"] = arch.empty() ? Json(nullptr) : Json(arch);
  json["resumable"] = resumable;
  json["tensors"] = tensors;
  json["tensor_bytes"] = tensor_bytes;
  json["source_sha256"] = source_sha256.empty() ? Json(nullptr) : Json(source_sha256);
  json["ok"] = ok;
  json["already_done"] = already_done;
  json["skipped"] = skipped.empty() ? Json(nullptr) : Json(skipped);
  json["error"] = error.empty() ? Json(nullptr) : Json(error);
  json["exit_code"] = exit_code;
  return json;
}

}  // namespace reprise::migrate
