// Which NCCL this process has, without linking it.
#pragma once

#include <string>

namespace reprise::engine {

// "2.28.9" of the libnccl.so.2 that LibTorch's CUDA part brought along when it was loaded, by its
// own word; "absent" where none is loaded, as in every process that computes on a CPU; "unknown"
// for one that does not answer. Loads nothing: a name is only looked up among what is loaded, so no
// other NCCL of the machine can be taken for the one in use. Errors: none.
std::string nccl_version();

}  // namespace reprise::engine
