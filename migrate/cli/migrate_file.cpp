#include "migrate/cli/migrate_file.h"

#include "ckpt/base/file.h"
#include "ckpt/base/parallel.h"
#include "ckpt/container/open.h"
#include "ckpt/store/save.h"
#include "ckpt/store/upgraded_file.h"
#include "migrate/cli/swap.h"
#include "migrate/steps/draft.h"

#include <exception>
#include <map>

namespace reprise::migrate {
namespace fs = std::filesystem;

namespace {

// A tensor of a document, under its slash path.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

void collect(Value value, const std::string& prefix, NamedTensors& out) {
  if (const TensorNode* node = value.if_tensor()) {
    out.emplace_back(prefix, node->tensor);
  } else if (const DictNode* dict = value.if_dict()) {
    for (const DictEntry& entry : dict->entries) {
      const std::string key = entry.key.is_string() ? std::string(entry.key.as_string())
                              : entry.key.if_int()  ? std::to_string(entry.key.as_int())
                                                    : std::string("?");
      collect(entry.value, prefix.empty() ? key : prefix + "/" + key, out);
    }
  }
}

// The tensors that a user would miss: weights, EMA, loss and optimizer state.
NamedTensors tensors_of(const Checkpoint& checkpoint) {
  NamedTensors out;
  const auto add = [&](std::string_view part, const StateDict& tensors) {
    for (const auto& [name, tensor] : tensors)
      out.emplace_back(fmt::format("{}/{}", part, name), tensor);
  };
  for (const auto& [part, tensors] : checkpoint.state_dicts()) add(part, *tensors);
  add("loss_func", checkpoint.loss_func);
  add("ema", checkpoint.ema);
  if (checkpoint.optimizer.is_dict())
    collect(checkpoint.optimizer.as_dict().get("state"), "optimizer/state", out);
  return out;
}

// Reads the result as a user will, and compares it with the source tensor by tensor.
void compare(const Checkpoint& source, const fs::path& written, unsigned jobs) {
  const store::UpgradedFile back = store::open_upgraded(written, {.verify = true, .jobs = jobs});
  const NamedTensors expected = tensors_of(source);
  std::map<std::string, Tensor> found;
  for (auto& [name, tensor] : tensors_of(back.checkpoint)) found.emplace(name, tensor);
  if (found.size() != expected.size()) {
    fail(Code::kInternal, "the result holds {} tensors, the source {}; nothing was published",
         found.size(), expected.size());
  }
  parallel_for(expected.size(), jobs, [&](std::size_t i) {
    const auto& [name, tensor] = expected[i];
    const auto copy = found.find(name);
    if (copy == found.end())
      fail(Code::kInternal, "tensor {} is missing in the result; nothing was published",
           printable(name));
    const Tensor& other = copy->second;
    if (other.dtype() != tensor.dtype() || other.shape() != tensor.shape() ||
        other.digest() != tensor.digest()) {
      fail(Code::kIo,
           "tensor {} reads back differently from what was written; the disk may be failing; "
           "nothing was published",
           printable(name));
    }
  });
  if (back.checkpoint.uuid != source.uuid || back.checkpoint.epoch != source.epoch) {
    fail(Code::kInternal, "uuid or epoch changed on the way; nothing was published");
  }
}

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

// Names the source's digest in the result, so that a later run knows its own work.
Checkpoint with_source_digest(const store::UpgradedFile& file, const std::string& sha256) {
  Draft draft(file.upgraded.document);
  draft.set_source("sha256", draft.arena().string(sha256));
  return Checkpoint::from(draft.finish());
}

// The last act of a swap: the original goes, after it was made safe in the backup.
void retire_source(const Item& item, FileReport& report) {
  if (!item.backup) return;
  report.backup = item.backup;
  if (item.source == item.target) return;  // the result took its name
  keep_backup(item.source, *item.backup, Digest::from_hex(report.source_sha256));
  remove_durably(item.source);
}

// Whether there is nothing to do: version 5 in the wanted container.
bool is_done(const store::UpgradedFile& file, const fs::path& target) {
  const std::string_view wanted = target.extension() == ".h5" ? "hdf5" : "pth-zip";
  return file.container == wanted && file.upgraded.schema == kSchemaVersion &&
         file.upgraded.steps.empty();
}

void migrate_into_place(const Item& item, const FileOptions& options,
                        const store::UpgradedFile& file, FileReport& report) {
  // Tensors read in the wrong place or of the wrong version never get this far, so
  // the source may be replaced once its copy has been compared.
  make_directories(item.target.parent_path());
  const Checkpoint checkpoint = with_source_digest(file, report.source_sha256);
  const Unpublished result(item.target);
  try {
    store::save_as(checkpoint, result.path(), options.jobs);
    compare(checkpoint, result.path(), options.jobs);
  } catch (const Error& error) {
    // Messages name the file that the user knows, not the one that is gone by then.
    std::string text = error.what();
    const std::string& inner = result.path().native();
    for (auto at = text.find(inner); at != std::string::npos; at = text.find(inner, at)) {
      text.replace(at, inner.size(), item.target.native());
    }
    throw Error(error.code(), text);
  }
  if (item.backup) keep_backup(item.source, *item.backup, Digest::from_hex(report.source_sha256));
  result.publish(item.backup && item.source == item.target);
  retire_source(item, report);
}

void migrate_one(const Item& item, const FileOptions& options, FileReport& report) {
  if (!item.problem.empty()) fail(Code::kUsage, "{}: {}", item.source.native(), item.problem);
  const store::LoadOptions load{.verify = true,
                                .jobs = options.jobs,
                                .dialect = options.dialect,
                                .arch = options.arch,
                                .arch_head = options.arch_head};
  const store::UpgradedFile file = store::open_upgraded(item.source, load);
  report.source_sha256 = sha256_file(item.source).hex();
  describe(report, file);
  if (is_done(file, item.target)) {
    report.skipped = "a version-5 checkpoint already";
    return;
  }
  if (options.plan) return;
  if (item.source != item.target && fs::exists(item.target)) {
    if (!holds(item.target, report.source_sha256)) {
      fail(Code::kUsage,
           "{}: exists and was not made from {}; move it away or choose another directory with -o",
           item.target.native(), item.source.native());
    }
    report.already_done = true;
    retire_source(item, report);  // a swap may have been interrupted right before
    return;
  }
  migrate_into_place(item, options, file, report);
}

}  // namespace

FileReport migrate_file(const Item& item, const FileOptions& options) {
  FileReport report;
  report.source = item.source;
  report.target = item.target;
  try {
    migrate_one(item, options, report);
    report.ok = true;
  } catch (const Error& error) {
    report.error = error.what();
    report.exit_code = error.exit_code();
  } catch (const std::exception& error) {
    // Out of memory, say: one file's trouble must not end the batch.
    report.error = fmt::format("{}: {}", item.source.native(), error.what());
    report.exit_code = static_cast<int>(Code::kInternal);
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
  return json;
}

}  // namespace reprise::migrate
