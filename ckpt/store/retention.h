// Which old checkpoints may go: a plan, which is a value, and its execution.
#pragma once

#include "ckpt/store/checkpoint_list.h"
#include "ckpt/store/references_to.h"
#include "ckpt/store/run_directory.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace reprise::store {

// A checkpoint is kept when any rule keeps it. With no rule set nothing is removed.
struct RetentionPolicy {
  bool keep_best = false;                       // by the major metric
  std::optional<std::uint64_t> keep_top = {};   // the best N by the major metric
  std::optional<std::uint64_t> keep_last = {};  // the newest N
  std::optional<std::uint64_t> every = {};      // ends of every K-th epoch,
  std::uint64_t begin_epoch = 0;                //   counted from begin
  std::optional<std::uint64_t> end_epoch = {};  //   to end, both inclusive
  std::optional<std::chrono::seconds> younger_than = {};
  // Rewrite what is kept, but for the newest, without optimizer and loss state.
  bool drop_optimizer = false;

  // Whether a rule is set that says what to keep.
  bool keeps_something() const {
    return keep_best || keep_top || keep_last || every || younger_than;
  }
};

struct RetentionPlan {
  struct Item {
    CheckpointEntry entry;
    std::string reason;  // "best by val/acc1", "backbone of runs/b/...", "older than the last 3"
    std::uint64_t bytes = 0;  // that its removal or rewriting frees
  };
  std::vector<Item> removed;
  std::vector<Item> kept;
  std::vector<Item> reduced;  // kept, and rewritten without optimizer; bytes is an estimate
  // Folders around that could not be looked into. With any, nothing is removed: what is in
  // them may refer to each of these files.
  std::vector<Unseen> unseen;

  std::uint64_t bytes() const;
};

// The plan for one run. A checkpoint that some file of `run`, of its neighbours, or of
// a run in `references` names as backbone or parent is kept whatever the policy says;
// so are rolling saves, files that cannot be read, files whose name is not that of a save,
// and the newest one. Opens the metadata of every checkpoint in those runs. Errors: kIo.
RetentionPlan plan_retention(const RunDirectory& run, const RetentionPolicy& policy,
                             const std::vector<RunDirectory>& references = {});

// The same during training, after each save: the runs around are looked at once, when
// this is made, not each time. One thread at a time.
class RetentionKeeper {
 public:
  RetentionKeeper(RunDirectory run, RetentionPolicy policy);
  // Plans and executes. Call it when the newest save is durable. Returns what was done.
  // Errors: kIo.
  RetentionPlan apply() const;
  // See RetentionPlan.
  const std::vector<Unseen>& unseen() const { return outside_.unseen; }

 private:
  RunDirectory run_;
  RetentionPolicy policy_;
  OutsideNeeds outside_;  // of neighbouring runs
};

// Does what `plan` says: first makes every reduced file durable, then removes,
// oldest first, then syncs the folder. Returns the bytes freed. A file that is gone
// already is no error. Errors: kIo; what was not done yet is then left as it is.
std::uint64_t execute(const RetentionPlan& plan);

}  // namespace reprise::store
