// Data sets made of another: kept in memory, or a part of it.
#pragma once

#include "engine/data/dataset.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace reprise::engine {

using DatasetPtr = std::shared_ptr<const Dataset>;

// The same set, each decoded image kept once read, up to `limit_bytes` in all; what comes
// after that is read again each time. Thread-safe: two threads that ask for one sample at once
// decode it once.
DatasetPtr cached(DatasetPtr dataset, std::uint64_t limit_bytes);

// The samples `ids` of the set, in that order; `bad` is what bad_samples() says. The digest
// binds the set's digest and the ids.
DatasetPtr subset(DatasetPtr dataset, std::vector<std::uint64_t> ids, std::vector<BadSample> bad);

// Ids of `count` samples spread evenly over `size` (all when count is 0 or not smaller).
std::vector<std::uint64_t> spread_ids(std::uint64_t size, std::uint64_t count);

// Decodes every sample once on all cores and leaves out those that fail with kCorrupt or
// kUnsupported. The set itself when there are none. Other errors are passed on.
DatasetPtr without_bad_samples(DatasetPtr dataset);

}  // namespace reprise::engine
