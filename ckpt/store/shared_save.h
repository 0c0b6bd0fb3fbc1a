// One save by several processes of a machine, each of which holds the whole state.
#pragma once

#include "ckpt/container/crew.h"
#include "ckpt/container/tensor_layout.h"
#include "ckpt/state/checkpoint.h"

#include <cstdint>
#include <optional>

namespace reprise::store {

// Bytes of tensors from which on a save is shared. A smaller one takes less than the processes
// need to agree on it.
inline constexpr std::uint64_t kSharedFrom = 32u << 20;

// The tensors of `checkpoint` that this process of the crew writes; nullopt where the first one
// saves alone, because the state is small or somebody was lost. All processes decide the same as
// long as their states have the same tensors. Cost: O(tensors), some microseconds each.
// Errors: kCorrupt when the checkpoint's fields contradict each other.
std::optional<container::TensorShare> share_of(const Checkpoint& checkpoint,
                                               const container::Crew& crew);

// Tells saves apart that one crew makes: the update after which the state was.
std::uint64_t occasion_of(const Checkpoint& checkpoint);

// What the other processes do while the first one is in save(): container::write_share().
bool save_share(const Checkpoint& checkpoint, container::Crew& crew, unsigned jobs = 0);

}  // namespace reprise::store
