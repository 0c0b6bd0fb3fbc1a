// Files of torch.save of PyTorch 0.1.1: a tar archive of four members.
#pragma once

#include "ckpt/state/value.h"

#include <filesystem>

namespace reprise::container {

// The member `pickle`, its tensors made of the members `tensors` and `storages`. Reads
// all but the tensor bytes, which stay in the mapping.
// Errors: kNotFound, kIo; kCorrupt for what read_tar() and pickle::load refuse, missing
// members, storages or tensors that leave theirs; kUnsupported for a tar archive that is
// no file of PyTorch, and for data of a big-endian machine.
Document open_pth_tar(const std::filesystem::path& path);

}  // namespace reprise::container
