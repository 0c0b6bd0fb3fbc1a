// A second opinion on a native checkpoint, by libhdf5.
#pragma once

#include "ckpt/container/hdf5.h"

#include <cstdint>
#include <functional>

namespace reprise::container {

// Opens the file with libhdf5 and compares each dataset that it finds, its type,
// shape, place and bytes, with the tensor table, both ways. Call it only after
// Hdf5Reader::verify() found nothing: libhdf5 trusts what it reads. Calls wait for
// each other, since libhdf5 has global state. Cost: one more pass over all bytes.
// `on_bytes` is told what was just read.
VerifyReport verify_deep(const Hdf5Reader& reader,
                         const std::function<void(std::uint64_t)>& on_bytes = {});

}  // namespace reprise::container
