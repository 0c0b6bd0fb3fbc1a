#include "migrate/cli/migrate_file.h"

#include "ckpt/base/file.h"
#include "ckpt/base/parallel.h"
#include "ckpt/container/open.h"
#include "ckpt/container/tensor_names.h"
#include "ckpt/store/save.h"
#include "ckpt/store/upgraded_file.h"
#include "migrate/cli/swap.h"
#include "migrate/steps/draft.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <future>
#include <map>
#include <stop_token>

namespace reprise::migrate {
namespace fs = std::filesystem;

namespace {

// A file from here on is worth a thread of its own for its digest.
constexpr std::uint64_t kLargeFileBytes = 64u << 20;

// A tensor of a document, under its slash path.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// Optimizer state by parameter and name, which is as deep as optimizers keep tensors: what a
// hostile file nests below, or inside itself, is not followed.
void add_optimizer_state(const DictNode& state, NamedTensors& out) {
  for (const DictEntry& of_parameter : state.entries) {
    const DictNode* fields = of_parameter.value.if_dict();
    if (fields == nullptr || !of_parameter.key.if_int()) continue;
    for (const DictEntry& field : fields->entries) {
      const TensorNode* node = field.value.if_tensor();
      if (node == nullptr || !field.key.is_string()) continue;
      out.emplace_back(
          fmt::format("optimizer/state/{}/{}", of_parameter.key.as_int(), field.key.as_string()),
          node->tensor);
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
    add_optimizer_state(checkpoint.optimizer.as_dict().get("state").as_dict(), out);
  return out;
}

constexpr std::size_t kPieceBytes = 1u << 20;
constexpr std::uint64_t kRangeBytes = 16u << 20;  // of one tensor, for one thread at a time

// A range of a tensor that has to be there twice.
struct Range {
  const Tensor* source;
  const Tensor* copy;
  std::string_view name;
  std::uint64_t from = 0, length = 0;  // bytes of the values
};

[[noreturn]] void fail_different(std::string_view name) {
  fail(Code::kIo,
       "tensor {} reads back differently from what was written; the disk may be failing; "
       "nothing was published",
       printable(name));
}

// Both are read again, piece by piece, so that neither has to fit into memory: the result through
// a buffer, the source where it lies in the page cache, if it does.
void compare_range(const Range& range) {
  const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, range.length));
  std::vector<std::byte> read_back(piece), read_again;
  const auto place = [](const Tensor& tensor) {
    return static_cast<std::uint64_t>(tensor.offset()) * item_size(tensor.dtype());
  };
  const Storage& source = *range.source->storage();
  const Bytes in_place = source.in_place();
  if (in_place.empty()) read_again.resize(piece);
  for (std::uint64_t done = 0; done < range.length; done += piece) {
    const auto length = std::min<std::uint64_t>(piece, range.length - done);
    const std::uint64_t from = range.from + done;
    const MutableBytes found = std::span(read_back).first(length);
    range.copy->storage()->read(place(*range.copy) + from, found);
    const std::uint64_t source_from = place(*range.source) + from;
    Bytes expected;
    if (in_place.empty()) {
      source.read(source_from, std::span(read_again).first(length));
      expected = Bytes(read_again).first(length);
    } else {
      source.prepare(source_from, length);
      expected = in_place.subspan(source_from, length);
    }
    if (std::memcmp(found.data(), expected.data(), length) != 0) fail_different(range.name);
    source.release(source_from, length);
  }
}

bool is_plain(const Tensor& tensor) {
  return tensor.storage() != nullptr && tensor.is_contiguous() && !tensor.conjugated() &&
         !tensor.negated();
}

// Compares `found` with what was to be written, tensor by tensor, from the disk.
void compare_tensors(const NamedTensors& expected, const NamedTensors& found,
                     const FileOptions& options) {
  if (found.size() != expected.size()) {
    fail(Code::kInternal, "the result holds {} tensors, the source {}; nothing was published",
         found.size(), expected.size());
  }
  std::map<std::string_view, const Tensor*> copies;
  for (const auto& [name, tensor] : found) copies.emplace(name, &tensor);
  std::vector<Range> ranges;
  for (const auto& [name, tensor] : expected) {
    const auto copy = copies.find(name);
    if (copy == copies.end())
      fail(Code::kInternal, "tensor {} is missing in the result; nothing was published",
           printable(name));
    const Tensor& other = *copy->second;
    if (other.dtype() != tensor.dtype() || other.shape() != tensor.shape()) fail_different(name);
    const std::uint64_t size = tensor.size_bytes();
    if (!is_plain(tensor) || !is_plain(other)) {
      if (size > 0 && other.digest() != tensor.digest()) fail_different(name);
      continue;
    }
    for (std::uint64_t from = 0; from < size; from += kRangeBytes)
      ranges.push_back({&tensor, &other, name, from, std::min(kRangeBytes, size - from)});
  }
  // A read that has to wait for the disk leaves its core to another thread.
  const unsigned threads = options.jobs > 0 ? options.jobs : 2 * available_cores() + 2;
  parallel_for(ranges.size(), threads, [&](std::size_t i) {
    compare_range(ranges[i]);
    if (options.on_bytes) options.on_bytes(ranges[i].length);
  });
}

// Every tensor of a document, by name.
NamedTensors all_tensors(const Document& document) {
  NamedTensors out;
  for (auto& [name, tensor] : container::name_tensors(document))
    out.emplace_back(std::move(name), std::move(tensor));
  return out;
}

// Reads the result as a user will, and compares it with the source.
void compare(const Checkpoint& source, const fs::path& written, const FileOptions& options) {
  Checkpoint back;
  if (store::format_of(written) == store::FileFormat::kHdf5) {
    // Equal bytes of every tensor say more than their digests would.
    back = Checkpoint::from(container::open(written, {.verify = container::Verify::kNone}));
    compare_tensors(all_tensors(source.to_document()), all_tensors(back.to_document()), options);
  } else {
    // A .pth holds some values in a form that Python reads: checksums speak for those.
    back = store::open_upgraded(written, {.verify = true, .jobs = options.jobs}).checkpoint;
    compare_tensors(tensors_of(source), tensors_of(back), options);
  }
  if (back.uuid != source.uuid || back.epoch != source.epoch) {
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

// The SHA-256 of the source. One long chain: for a large file it runs beside everything else,
// and stops where the file is refused meanwhile.
class SourceDigest {
 public:
  explicit SourceDigest(const fs::path& source) {
    std::error_code ignored;
    const bool large = fs::file_size(source, ignored) >= kLargeFileBytes && !ignored;
    hex_ =
        std::async(large ? std::launch::async : std::launch::deferred,
                   [source, stop = stop_.get_token()] { return sha256_file(source, stop).hex(); });
  }
  ~SourceDigest() { stop_.request_stop(); }
  SourceDigest(const SourceDigest&) = delete;
  SourceDigest& operator=(const SourceDigest&) = delete;

  std::string get() const { return hex_.get(); }

 private:
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

void migrate_into_place(const Item& item, const FileOptions& options,
                        const store::UpgradedFile& file, const SourceDigest& digest,
                        FileReport& report, GroupSync& syncs) {
  // Tensors read in the wrong place or of the wrong version never get this far, so
  // the source may be replaced once its copy has been compared.
  make_directories(item.target.parent_path());
  store::SaveAsOptions save{
      .jobs = options.jobs, .publish = container::Publish::kOnTheWay, .on_bytes = options.on_bytes};
  std::string sha256;
  if (store::format_of(item.target) == store::FileFormat::kHdf5) {
    // Nobody can guess it, so that nothing in the source is taken for it.
    sha256 = reprise::sha256(Uuid::random().text()).hex();
    save.late = {sha256, [&digest] { return digest.get(); }};
  } else {
    sha256 = digest.get();
  }
  const Checkpoint checkpoint = with_source_digest(file, sha256);
  Unpublished result(item.target);
  try {
    store::save_as(checkpoint, result.path(), save);
    report.source_sha256 = digest.get();
    compare(checkpoint, result.path(), options);
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
  const SourceDigest digest(item.source);
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
  json["exit_code"] = exit_code;
  return json;
}

}  // namespace reprise::migrate
