// Checkpoints that a run needs beside its own: a backbone under a head, a teacher.
#pragma once

#include "ckpt/store/load.h"
#include "engine/models/network.h"
#include "experiment/config.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace reprise::experiment {

// What is said of such a checkpoint.
struct OtherCheckpoint {
  std::string option;                        // "backbone", "teacher": for messages
  std::string reference;                     // a path, a reference, or a UUID
  std::optional<Uuid> uuid;                  // it has to be this one
  std::string hint;                          // where it was when it was used before; may be empty
  std::vector<std::filesystem::path> roots;  // where a UUID is looked for
};

// Opens it. A reference that is a UUID, or none, is looked for where it was and below the roots.
// Of several files with that UUID in their names, damaged ones and others are passed over.
// Errors: those of loading; kNotFound naming where it was looked for; kMismatch for a file that is
// another checkpoint than the one that is wanted.
store::LoadedCheckpoint open_other(const OtherCheckpoint& wanted);

// --search-path, else runs/ and the directory the process works in; those near `checkpoint` first
// where it is not empty.
std::vector<std::filesystem::path> roots_of(const std::string& search_path,
                                            const std::filesystem::path& checkpoint = {});

// Backbone and head of a supervised checkpoint, or a model, under the network's names.
// Errors: kMismatch when it holds neither, or its backbone is in another file.
StateDict network_state(const Checkpoint& checkpoint);

// The backbone in a checkpoint of any type, under the bare names of its architecture. `take`:
// whose, as --backbone-take; empty: a dino checkpoint's teacher. `head`: names to leave out.
// Errors: kMismatch when it holds none.
StateDict backbone_state(const Checkpoint& checkpoint, const std::string& take,
                         std::string_view head);

// Network and weights of a checkpoint, none of which learns.
struct FrozenNetwork {
  std::shared_ptr<const engine::Network> network;
  std::shared_ptr<const engine::Weights> weights;
};

// The backbone of `loaded`, or with `with_head` its whole network. Sizes follow from the shapes of
// its weights; `arch` is for checkpoints that do not say theirs. Errors: kMismatch for one that
// says another architecture or none, or whose names or shapes do not fit, with the report.
FrozenNetwork frozen_network(const store::LoadedCheckpoint& loaded, const std::string& arch,
                             const std::string& take, bool with_head, c10::Device device);

// Whether a checkpoint holds a head and leaves its backbone to another one.
bool is_head_alone(const Checkpoint& checkpoint);

// The checkpoint that holds the backbone of `head`: `reference`, or where it is empty the UUID that
// the head names, looked for where it was, near the head and below `search_path`. Errors: those of
// open_other().
store::LoadedCheckpoint backbone_of(const store::LoadedCheckpoint& head,
                                    const std::string& reference, const std::string& search_path);

// A head alone on its backbone; the weights are the head's. `arch`, `take`: of the backbone, as for
// frozen_network(). Errors: as there.
FrozenNetwork frozen_head(const store::LoadedCheckpoint& head,
                          const store::LoadedCheckpoint& backbone, const std::string& arch,
                          const std::string& take, c10::Device device);

// The architecture that a checkpoint and an option agree on. Errors: kMismatch; kUsage naming
// `option` when neither says one.
std::string agreed_arch(const Checkpoint& checkpoint, const std::string& arch,
                        std::string_view option);

}  // namespace reprise::experiment
