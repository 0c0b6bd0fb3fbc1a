// Bytes of ZIP entries as storages: checked, inflated and byte-swapped when read.
#pragma once

#include "ckpt/container/zip_directory.h"
#include "ckpt/state/storage.h"

#include <memory>

namespace reprise {
class MappedFile;
}

namespace reprise::container {

// The content of a stored or deflated entry of `archive`. Its CRC-32 is computed when
// its bytes are first asked for, once, and before any of them is handed out: opening
// costs nothing, and nobody ever sees bytes that were not checked. A deflated entry is
// inflated as a whole when read; the four inflated last stay in memory.
// Errors, from read() and in_place(): kCorrupt, naming the entry, when the checksum or
// the deflate stream is wrong.
std::shared_ptr<const Storage> zip_storage(std::shared_ptr<const MappedFile> archive,
                                           const ZipEntry& entry);

// `inner` with each run of `width` bytes turned around: data of a big-endian machine.
// A width of 1 gives `inner` itself.
std::shared_ptr<const Storage> swapped_storage(std::shared_ptr<const Storage> inner,
                                               std::size_t width);

// `size` bytes of `whole` from `offset` on. The caller has checked the range.
std::shared_ptr<const Storage> part_of_storage(std::shared_ptr<const Storage> whole,
                                               std::uint64_t offset, std::uint64_t size);

}  // namespace reprise::container
