// Writing files that torch.load reads.
#pragma once

#include "ckpt/container/hdf5.h"
#include "ckpt/pickle/writer.h"
#include "ckpt/state/value.h"

#include <filesystem>

namespace reprise::container {

// Writes `document` as torch.save would, beside `target`, and publishes it durably, with
// WriteOptions as for write_hdf5(): a stored ZIP archive, tensor data aligned to 64 bytes,
// with checksums. The same values give the same bytes. Tensors are read once, in pieces:
// memory is a few MiB.
// Errors: kIo, kNotFound (no such directory); kUnsupported, naming it, for what the file
// cannot hold (see pickle::write); those of Storage::read.
WriteReport write_pth(const std::filesystem::path& target, const Document& document,
                      const WriteOptions& options = {},
                      pickle::Loadable loadable = pickle::Loadable::kWeightsOnly);

}  // namespace reprise::container
