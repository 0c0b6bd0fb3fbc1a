// Schema v5 as fields: the one form in which every room above handles a checkpoint.
#pragma once

#include "ckpt/base/json.h"
#include "ckpt/base/sha256.h"
#include "ckpt/base/uuid.h"
#include "ckpt/state/state_dict.h"
#include "ckpt/state/value.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reprise {

inline constexpr int kSchemaVersion = 5;

// The names are embedded in files; see to_string().
enum class CheckpointType : std::uint8_t {
  kDino,        // student and teacher, keys `backbone.*` and `head.*`
  kSupervised,  // a head, and its backbone or the UUID of the file that holds it
  kModel,       // one network without a backbone/head split
};
std::string_view to_string(CheckpointType type);
std::optional<CheckpointType> checkpoint_type_from(std::string_view name);

// How a state came from another one.
enum class Relation : std::uint8_t { kResumed, kLoaded, kDistilledFrom, kBackbone, kMigratedFrom };
std::string_view to_string(Relation relation);  // "resumed", "loaded", "distilled-from", ...
std::optional<Relation> relation_from(std::string_view name);

struct Parent {
  Uuid uuid;
  Relation relation = Relation::kLoaded;
  bool operator==(const Parent&) const = default;
};

// What the row of train.tsv under way has so far: sums over the updates since the last row.
struct IntervalSums {
  std::uint64_t updates = 0;
  double loss = 0, grad_norm = 0;
  bool operator==(const IntervalSums&) const = default;
};

// Where training stands. A batch cursor inside an epoch makes a stop there exact.
struct TrainingProgress {
  std::uint64_t update = 0;        // optimizer steps done
  std::uint64_t epoch = 0;         // completed epochs
  std::uint64_t samples_seen = 0;  // over the whole run
  std::uint64_t batch_cursor = 0;  // global batches consumed in the epoch under way
  // Position of a foreign trainer's data iterator (XDPX's train_i).
  std::optional<std::uint64_t> source_iteration;
  // Between two rows of train.tsv, so that a resumed run writes the row of one never stopped.
  std::optional<IntervalSums> interval;
  bool operator==(const TrainingProgress&) const = default;
};

// The last ledger line that this state has behind it.
struct LedgerPosition {
  std::uint64_t update = 0;
  Digest chain;
  bool operator==(const LedgerPosition&) const = default;
};

// Copies share tensors and the arena. Tensors may be lazy views of a file or of a
// module's memory; see Storage for their lifetime.
struct Checkpoint {
  CheckpointType type = CheckpointType::kModel;
  std::uint64_t epoch = 0;  // completed epochs
  bool epoch_known = true;  // false: an old file that does not say; `epoch` is 0
  Uuid uuid;                // of this save
  std::string arch;         // empty: unknown (some old files do not say)
  std::optional<std::string> arch_head;
  std::optional<Uuid> uuid_backbone;

  StateDict student, teacher;  // kDino
  StateDict backbone, head;    // kSupervised
  StateDict model;             // kModel

  Json config = Json::object();   // null: unknown
  Json metrics = Json::object();  // null: unknown
  // {"state": {index: {name: tensor or scalar}}, "param_groups": [...]}, as
  // PyTorch's Optimizer.state_dict(); none when this save has no optimizer.
  Value optimizer;
  StateDict loss_func;

  // What Reprise adds, stored under the key "reprise".
  std::optional<Uuid> run;
  std::vector<Parent> parents;
  std::optional<TrainingProgress> progress;
  Json random = Json::object();
  Value scheduler;
  Value scaler;
  StateDict ema;
  std::optional<Digest> fingerprint;
  std::optional<LedgerPosition> ledger;
  // A configuration that is a program in another language (mmcv's Python), verbatim.
  std::optional<std::string> config_text;
  // Dict: where an upgraded checkpoint came from (`dialect`, `schema`, `sha256` of the
  // file) and, under `details`, what the upgrade understood and this schema has no
  // field for. None for checkpoints that were born in version 5.
  Value source;
  Value unmapped;  // dict of what an upgrade found and did not understand, or none

  // Keeps optimizer, scheduler, scaler, source and unmapped alive.
  std::shared_ptr<Arena> arena = std::make_shared<Arena>();

  // Optimizer state is there, and where training stood is known: it can go on from here.
  bool resumable() const { return resume_point().has_value(); }
  // Where training would go on: `progress`, or for files of other writers the epoch
  // with the largest step that the optimizer counted. Nothing when not resumable.
  std::optional<TrainingProgress> resume_point() const;

  // The state dicts that this type has, in file order, with their names.
  std::vector<std::pair<std::string_view, const StateDict*>> state_dicts() const;

  // Reads a version-5 document. Cost: O(tensors), reads no tensor bytes.
  // Errors: kUnsupported when its version is newer; kCorrupt naming the field, what
  // it holds and what was expected.
  static Checkpoint from(const Document& document);
  // The document that from() reads; tensors are shared. Fields at their "absent"
  // value are left out.
  Document to_document() const;

  // Throws kCorrupt when the fields contradict each other (a supervised save with
  // both backbone and uuid_backbone, a dino one without student, ...). A head whose
  // backbone is not known passes: version-0 heads do not name theirs.
  void validate() const;
};

}  // namespace reprise
