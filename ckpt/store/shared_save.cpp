#include "ckpt/store/shared_save.h"

namespace reprise::store {

std::optional<container::TensorShare> share_of(const Checkpoint& checkpoint,
                                               const container::Crew& crew) {
  if (!crew.whole() || crew.size() == 1) return std::nullopt;
  container::TensorShare share(container::name_tensors(checkpoint.to_document()), crew.number(),
                               crew.size());
  if (share.total_bytes() < kSharedFrom) return std::nullopt;
  return share;
}

std::uint64_t occasion_of(const Checkpoint& checkpoint) {
  return checkpoint.progress ? checkpoint.progress->update : 0;
}

bool save_share(const Checkpoint& checkpoint, container::Crew& crew, unsigned jobs) {
  return container::write_share(checkpoint.to_document(), {&crew, occasion_of(checkpoint)}, jobs);
}

}  // namespace reprise::store
