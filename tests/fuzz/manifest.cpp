// Manifests of our own container: an Error, or a tree that is written and read again as the same
// one, and that is a checkpoint or is refused as one.
#include "ckpt/container/manifest.h"

#include "ckpt/base/error.h"
#include "ckpt/state/checkpoint.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace {

using namespace reprise;

std::vector<Tensor> some_tensors() {
  static const std::array<std::byte, 24> kValues{};
  return {Tensor::copy_of(DType::kFloat32, {2, 3}, kValues),
          Tensor::copy_of(DType::kInt64, {}, std::span(kValues).first(8)),
          Tensor::copy_of(DType::kFloat32, {1}, std::span(kValues).first(4)),
          Tensor::copy_of(DType::kUInt8, {0}, {})};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  const std::vector<Tensor> tensors = some_tensors();
  Document document;
  document.arena = std::make_shared<Arena>();
  container::EncodedDocument written;
  try {
    document.root = container::decode_manifest(json, tensors, *document.arena);
    written = container::encode_manifest(document.root);
  } catch (const Error& error) {
    if (error.code() == Code::kInternal) std::abort();  // a bug of ours, not of the text
    return 0;
  }
  try {
    std::vector<Tensor> named;
    for (const auto& tensor : written.tensors) named.push_back(tensor.tensor);
    Arena again;
    const Value root = container::decode_manifest(written.json, named, again);
    if (container::encode_manifest(root).json != written.json) std::abort();
  } catch (const Error&) {
    std::abort();  // what we write, we read
  }
  try {
    Checkpoint::from(document);
  } catch (const Error& error) {
    if (error.code() == Code::kInternal) std::abort();
  }
  return 0;
}
