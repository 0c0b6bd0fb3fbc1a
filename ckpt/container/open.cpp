#include "ckpt/container/open.h"

namespace reprise::container {

std::string_view to_string(Format format) {
  switch (format) {
    case Format::kNative: return "hdf5";
    case Format::kForeignHdf5: return "hdf5-foreign";
    case Format::kSafetensors: return "safetensors";
    case Format::kPthZip: return "pth-zip";
    case Format::kTorchScript: return "torchscript";
    case Format::kPthLegacy: return "pth-legacy";
    case Format::kPthTar: return "pth-tar";
  }
  return "unknown";
}

}  // namespace reprise::container
