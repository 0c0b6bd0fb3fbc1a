// Writing and hashing the values of tensors in independent pieces.
#pragma once

#include "ckpt/container/direct_writer.h"
#include "ckpt/container/tensor_layout.h"

#include <functional>
#include <vector>

namespace reprise::container {

// What has to be done for the groups of `layout` that `writer_of` gives to `writer`: pieces that
// may run at the same time on several threads, to be started in this order. Each writes a part of
// the tensors to their places and puts digests into `layout`, which is complete for these groups
// when all have run. Both arguments must outlive the result.
// Errors of a piece: kIo; those of Storage::read.
std::vector<std::function<void()>> list_work(Layout& layout, const std::vector<unsigned>& writer_of,
                                             unsigned writer, DirectWriter& file);

}  // namespace reprise::container
