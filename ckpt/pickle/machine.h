// The restricted pickle machine: bytes in, inert values out, nothing executed.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/state/value.h"

#include <cstdint>
#include <functional>

namespace reprise::pickle {

// What a container makes of a persistent id (of a storage, most often). Called while
// the pickle is read; may allocate from the same arena.
using PersistentLoad = std::function<Value(Value id)>;

struct LoadOptions {
  // Where the pickle begins in its file: added to the offsets in messages.
  std::uint64_t base_offset = 0;
  // Bytes of the whole file: what memory and declared tensor sizes are held against.
  // 0: the size of `bytes`.
  std::uint64_t file_bytes = 0;
  PersistentLoad persistent_load;  // without one, persistent ids are an error
};

struct Loaded {
  Value root;
  std::uint64_t size_bytes = 0;  // up to and including STOP; another pickle may follow
  int protocol = 0;              // as the file says; 0 when it does not
};

// Memory that reading `bytes` of pickles may take in an arena; see ArenaLimit. load()
// keeps to it for one pickle; a container of several sets it for all of them.
std::uint64_t arena_limit(std::uint64_t bytes);

// Reads one pickle of protocol 0 to 5 from the start of `bytes`. Text and bytes of the
// values point into `bytes`: keep them alive with the arena. Classes and functions
// become names, calls of unknown ones become Opaque records (docs/legacy-formats.md
// lists those with a meaning); nothing is imported, called, or opened.
//
// Time is linear in the size of `bytes`, memory at most 64 bytes for each of them, with
// at least 56 MiB allowed. Does not recurse, whatever the nesting.
//
// Errors, each naming the byte offset and the opcode: kCorrupt for what no pickler
// writes (truncation, an empty stack, sizes outside a storage, more memory than the
// size justifies); kUnsupported for a newer protocol, extension codes (EXT1, EXT2,
// EXT4), out-of-band buffers, and numbers or keys that are too expensive to read.
Loaded load(Arena& arena, Bytes bytes, const LoadOptions& options = {});

}  // namespace reprise::pickle
