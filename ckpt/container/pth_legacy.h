// Files of torch.save before 1.6: pickles in a row, then storages.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/state/value.h"

#include <filesystem>

namespace reprise::container {

// The fourth pickle of the file, its tensors over the storages behind the fifth. Reads
// the pickles; tensor bytes stay in the mapping. Tensor data is little-endian whatever
// the file's `sys_info` says; the counts in front of it were not, before PyTorch 1.4,
// and are read as whichever order agrees with the pickle.
// Errors: kNotFound, kIo; kCorrupt for what pickle::load refuses, another magic number, a
// storage that is missing, twice there, of another size than declared, or beyond the
// end of the file, and for bytes behind the last one; kUnsupported for another protocol.
Document open_pth_legacy(const std::filesystem::path& path);

// Whether a file begins like one: the magic number, pickled in any protocol.
bool starts_like_legacy(Bytes file);

}  // namespace reprise::container
