// The globals that the reader gives a meaning to; every other one is only recorded.
#pragma once

#include "ckpt/state/dtype.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace reprise::pickle {

enum class Known : std::uint8_t {
  kNothing,  // no meaning here: calls of it become Opaque records
  kOrderedDict,
  kDefaultDict,
  kCounter,
  kNamespace,
  kRebuildTensor,
  kRebuildTensorV2,
  kRebuildTensorV3,
  kRebuildParameter,
  kRebuildParameterWithState,
  kRebuildSparseTensor,
  kRebuildQTensor,
  kRebuildMetaTensor,
  kRebuildFromType,
  kParameterClass,
  kTorchSize,
  kTorchDevice,
  kTorchGetLayout,
  kTorchDType,  // a value, not a class
  kStorageClass,
  kNumpyScalar,
  kNumpyReconstruct,
  kNumpyFromBuffer,
  kNumpyDType,
  kCodecsEncode,
  kSet,
  kFrozenSet,
  kComplex,
  kByteArray,
  kBytes,
  kList,
  kDict,
  kDateTime,
  kDate,
  kTime,
  kTimeDelta,
  kPosixPath,
  kWindowsPath,
  kReconstructor,  // copyreg's, of protocols 0 and 1
};

// What "module.name" (Python 3's name) means.
Known known_global(std::string_view full_name);

// The element type of a storage or tensor class: "torch.FloatStorage",
// "torch.cuda.HalfTensor", "torch.storage.UntypedStorage" (bytes); nothing for others.
std::optional<DType> storage_dtype(std::string_view full_name);

// The class name under which PyTorch saves storages of this type, "FloatStorage";
// empty for types that are saved as untyped storages.
std::string_view storage_class(DType dtype);

}  // namespace reprise::pickle
