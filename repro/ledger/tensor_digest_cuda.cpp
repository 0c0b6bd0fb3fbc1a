#include "repro/ledger/tensor_digest_cuda.h"

#include "ckpt/base/error.h"
#include "repro/ledger/leaf_kernel.h"

#include <vector>

namespace reprise::ledger {

bool cuda_is_there() { return cuda_devices() > 0; }

TensorDigest digest_on_cuda(std::string_view name, DType dtype, std::span<const std::int64_t> shape,
                            const void* data, std::uint64_t bytes) {
  std::vector<Node> nodes((bytes + kLeafBytes - 1) / kLeafBytes);
  if (const char* problem = leaf_nodes_on_cuda(data, bytes, nodes.data())) {
    fail(Code::kIo, "CUDA: digest of {}: {}", printable(name), problem);
  }
  // Of the bytes, bind() takes the number alone.
  const Bytes there(static_cast<const std::byte*>(data), static_cast<std::size_t>(bytes));
  return bind({name, dtype, shape, there}, join_leaves(std::move(nodes)));
}

}  // namespace reprise::ledger
