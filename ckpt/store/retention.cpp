#include "ckpt/store/retention.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/parallel.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/store/checkpoint_name.h"
#include "ckpt/store/load.h"
#include "ckpt/store/reference.h"
#include "ckpt/store/save.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

namespace reprise::store {
namespace fs = std::filesystem;

namespace {

bool is_epoch_end(const CheckpointEntry& entry, const std::vector<CheckpointEntry>& all) {
  // The first save with this number of completed epochs; later ones lie inside the next epoch.
  return std::ranges::none_of(all, [&](const CheckpointEntry& other) {
    return other.epoch == entry.epoch && other.update < entry.update && !other.rolling;
  });
}

bool kept_by_every(const RetentionPolicy& policy, const CheckpointEntry& entry,
                   const std::vector<CheckpointEntry>& all) {
  if (!policy.every || *policy.every == 0) return false;
  if (entry.epoch < policy.begin_epoch) return false;
  if (policy.end_epoch && entry.epoch > *policy.end_epoch) return false;
  return (entry.epoch - policy.begin_epoch) % *policy.every == 0 && is_epoch_end(entry, all);
}

std::int64_t now_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

std::string need_text(const Need& need) {
  return fmt::format("{} of {}",
                     need.relation == Relation::kBackbone
                         ? std::string("backbone")
                         : fmt::format("parent ({})", to_string(need.relation)),
                     need.by.native());
}

// Whether we wrote the file, as far as its name tells. Files that somebody put there stay as they
// are, and neither count as one of the last nor as the best.
bool is_ours(const CheckpointEntry& entry) {
  return parse_checkpoint_name(entry.path.filename().native()).has_value();
}

// Why each checkpoint is kept; a missing one may go.
std::map<fs::path, std::string> reasons_to_keep(std::vector<CheckpointEntry> all,
                                                const RetentionPolicy& policy, const Needs& needs) {
  std::map<fs::path, std::string> reasons;
  const auto keep = [&](const CheckpointEntry& entry, std::string reason) {
    reasons.emplace(entry.path, std::move(reason));  // the first reason stays
  };
  for (const CheckpointEntry& entry : all) {
    if (!is_ours(entry)) keep(entry, "not the name of a save");
  }
  std::erase_if(all, [](const CheckpointEntry& entry) { return !is_ours(entry); });
  for (const CheckpointEntry& entry : all) {
    if (entry.problem) keep(entry, "cannot be read: " + *entry.problem);
    if (entry.rolling) keep(entry, "rolling save");
  }
  for (const CheckpointEntry& entry : all) {
    const auto need = needs.find(entry.uuid);
    if (!entry.uuid.is_nil() && need != needs.end()) keep(entry, need_text(need->second));
  }
  if (policy.keep_best || policy.keep_top) {
    const std::vector<BestCheckpoint> ranked = rank(all);
    const std::uint64_t top =
        std::max<std::uint64_t>(policy.keep_best ? 1 : 0, policy.keep_top.value_or(0));
    for (std::size_t i = 0; i < ranked.size() && i < top; ++i) {
      keep(ranked[i].entry,
           i == 0 ? fmt::format("best by {} ({:.6g})", ranked[i].metric, ranked[i].value)
                  : fmt::format("number {} by {}", i + 1, ranked[i].metric));
    }
  }
  std::vector<CheckpointEntry> persistent;
  std::ranges::copy_if(all, std::back_inserter(persistent),
                       [](const CheckpointEntry& e) { return !e.rolling && !e.problem; });
  const std::size_t last = std::min<std::size_t>(policy.keep_last.value_or(0), persistent.size());
  for (std::size_t i = persistent.size() - last; i < persistent.size(); ++i) {
    keep(persistent[i], last == 1 ? "the last one" : fmt::format("one of the last {}", last));
  }
  const std::int64_t now = now_ns();
  for (const CheckpointEntry& entry : persistent) {
    if (kept_by_every(policy, entry, all))
      keep(entry, fmt::format("every {} epochs", *policy.every));
    if (policy.younger_than &&
        now - entry.modified_ns < policy.younger_than->count() * 1'000'000'000) {
      keep(entry, "younger than the limit");
    }
    if (!policy.keeps_something()) keep(entry, "no rule removes it");
  }
  // Whatever the rules: the newest state that can be read stays. A rolling save is one.
  const bool rolling =
      std::ranges::any_of(all, [](const CheckpointEntry& e) { return e.rolling && !e.problem; });
  if (!persistent.empty() && !rolling) keep(persistent.back(), "the newest state");
  return reasons;
}

// Bytes that rewriting without optimizer frees; 0 when there is nothing to drop.
std::uint64_t droppable_bytes(const CheckpointEntry& entry) {
  try {
    const LoadedCheckpoint loaded = open_checkpoint(entry.path.native(), {.verify = false});
    // Rewriting an old or foreign file would be a migration, which nobody asked for.
    if (loaded.container != "hdf5" || loaded.schema != kSchemaVersion) return 0;
    std::uint64_t bytes = loaded.checkpoint.loss_func.size_bytes();
    const DictNode* optimizer = loaded.checkpoint.optimizer.if_dict();
    if (optimizer == nullptr) return bytes;
    const DictNode* state = optimizer->get("state").if_dict();
    for (std::size_t i = 0; state != nullptr && i < state->entries.size(); ++i) {
      const DictNode* of_parameter = state->entries[i].value.if_dict();
      for (std::size_t k = 0; of_parameter != nullptr && k < of_parameter->entries.size(); ++k) {
        const TensorNode* node = of_parameter->entries[k].value.if_tensor();
        if (node != nullptr) bytes += node->tensor.size_bytes();
      }
    }
    return std::max<std::uint64_t>(bytes, 1);
  } catch (const Error&) {
    return 0;
  }
}

RetentionPlan make_plan(const RunDirectory& run, const RetentionPolicy& policy,
                        OutsideNeeds outside) {
  std::vector<CheckpointEntry> all = run.list();
  // The list reads no file whose name says enough; what cannot be read must not count as a state.
  outside.needs.merge(read_needs(all));
  auto reasons = reasons_to_keep(all, policy, outside.needs);
  if (!outside.unseen.empty()) {
    const std::string reason = fmt::format("{} cannot be looked into and may refer to it",
                                           outside.unseen.front().folder.native());
    for (const CheckpointEntry& entry : all) reasons.emplace(entry.path, reason);
  }
  RetentionPlan plan;
  plan.unseen = std::move(outside.unseen);
  fs::path newest_path;
  for (const CheckpointEntry& entry : all) {
    if (is_ours(entry)) newest_path = entry.path;
  }
  for (const CheckpointEntry& entry : all) {
    const auto reason = reasons.find(entry.path);
    if (reason == reasons.end()) {
      plan.removed.push_back({entry, "no rule keeps it", entry.bytes});
      continue;
    }
    plan.kept.push_back({entry, reason->second, 0});
    const bool newest = entry.path == newest_path;
    if (policy.drop_optimizer && is_ours(entry) && !newest && !entry.rolling && !entry.problem) {
      const std::uint64_t bytes = droppable_bytes(entry);
      if (bytes > 0) plan.reduced.push_back({entry, "optimizer dropped", bytes});
    }
  }
  return plan;
}

std::uint64_t file_bytes(const fs::path& path) {
  std::error_code failure;
  const std::uint64_t bytes = fs::file_size(path, failure);
  return failure ? 0 : bytes;
}

std::uint64_t reduce(const fs::path& path) {
  const std::uint64_t before = file_bytes(path);
  // Every digest is checked: a damaged file must not get fresh digests.
  Checkpoint checkpoint = load(path.native(), {.verify = true});
  checkpoint.optimizer = Value();
  checkpoint.loss_func = StateDict();
  const std::uint64_t after = save_as(checkpoint, path).bytes;
  return before > after ? before - after : 0;
}

std::uint64_t remove_file(const fs::path& path) {
  const std::uint64_t bytes = file_bytes(path);
  if (::unlink(path.c_str()) == -1) {
    if (errno == ENOENT) return 0;
    fail_errno(errno, path.native());
  }
  return bytes;
}

}  // namespace

std::uint64_t RetentionPlan::bytes() const {
  std::uint64_t total = 0;
  for (const Item& item : removed) total += item.bytes;
  for (const Item& item : reduced) total += item.bytes;
  return total;
}

RetentionPlan plan_retention(const RunDirectory& run, const RetentionPolicy& policy,
                             const std::vector<RunDirectory>& references) {
  return make_plan(run, policy, needs_around(run, references));
}

RetentionKeeper::RetentionKeeper(RunDirectory run, RetentionPolicy policy)
    : run_(std::move(run)), policy_(policy), outside_(needs_around(run_)) {}

RetentionPlan RetentionKeeper::apply() const {
  RetentionPlan plan = make_plan(run_, policy_, outside_);
  execute(plan);
  return plan;
}

std::uint64_t execute(const RetentionPlan& plan) {
  std::uint64_t freed = 0;
  for (const RetentionPlan::Item& item : plan.reduced) freed += reduce(item.entry.path);
  std::vector<fs::path> folders;
  for (const RetentionPlan::Item& item : plan.removed) {
    // The twin first: while the .h5 is there, the pair is an entry.
    if (item.entry.twin) freed += remove_file(*item.entry.twin);
    freed += remove_file(item.entry.path);
    folders.push_back(item.entry.path.parent_path());
  }
  std::ranges::sort(folders);
  folders.erase(std::unique(folders.begin(), folders.end()), folders.end());
  for (const fs::path& folder : folders) sync_directory(folder);
  return freed;
}

}  // namespace reprise::store
