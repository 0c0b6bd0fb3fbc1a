#include "ckpt/pickle/globals.h"

#include <algorithm>
#include <array>

namespace reprise::pickle {

namespace {

struct Row {
  std::string_view name;
  Known known;
};

// Sorted by name.
constexpr std::array kRows = std::to_array<Row>({
    {"_codecs.encode", Known::kCodecsEncode},
    {"argparse.Namespace", Known::kNamespace},
    {"builtins.bytearray", Known::kByteArray},
    {"builtins.bytes", Known::kBytes},
    {"builtins.complex", Known::kComplex},
    {"builtins.dict", Known::kDict},
    {"builtins.frozenset", Known::kFrozenSet},
    {"builtins.list", Known::kList},
    {"builtins.set", Known::kSet},
    {"collections.Counter", Known::kCounter},
    {"collections.OrderedDict", Known::kOrderedDict},
    {"collections.defaultdict", Known::kDefaultDict},
    {"copyreg._reconstructor", Known::kReconstructor},
    {"datetime.date", Known::kDate},
    {"datetime.datetime", Known::kDateTime},
    {"datetime.time", Known::kTime},
    {"datetime.timedelta", Known::kTimeDelta},
    {"numpy._core.multiarray._reconstruct", Known::kNumpyReconstruct},
    {"numpy._core.multiarray.scalar", Known::kNumpyScalar},
    {"numpy._core.numeric._frombuffer", Known::kNumpyFromBuffer},
    {"numpy.core.multiarray._reconstruct", Known::kNumpyReconstruct},
    {"numpy.core.multiarray.scalar", Known::kNumpyScalar},
    {"numpy.core.numeric._frombuffer", Known::kNumpyFromBuffer},
    {"numpy.dtype", Known::kNumpyDType},
    {"pathlib.PosixPath", Known::kPosixPath},
    {"pathlib.PurePosixPath", Known::kPosixPath},
    {"pathlib.PureWindowsPath", Known::kWindowsPath},
    {"pathlib.WindowsPath", Known::kWindowsPath},
    {"pathlib._local.PosixPath", Known::kPosixPath},
    {"pathlib._local.PurePosixPath", Known::kPosixPath},
    {"pathlib._local.PureWindowsPath", Known::kWindowsPath},
    {"pathlib._local.WindowsPath", Known::kWindowsPath},
    {"torch.Size", Known::kTorchSize},
    {"torch._tensor._rebuild_from_type", Known::kRebuildFromType},
    {"torch._tensor._rebuild_from_type_v2", Known::kRebuildFromType},
    {"torch._utils._rebuild_meta_tensor_no_storage", Known::kRebuildMetaTensor},
    {"torch._utils._rebuild_parameter", Known::kRebuildParameter},
    {"torch._utils._rebuild_parameter_with_state", Known::kRebuildParameterWithState},
    {"torch._utils._rebuild_qtensor", Known::kRebuildQTensor},
    {"torch._utils._rebuild_sparse_tensor", Known::kRebuildSparseTensor},
    {"torch._utils._rebuild_tensor", Known::kRebuildTensor},
    {"torch._utils._rebuild_tensor_v2", Known::kRebuildTensorV2},
    {"torch._utils._rebuild_tensor_v3", Known::kRebuildTensorV3},
    {"torch.device", Known::kTorchDevice},
    {"torch.nn.parameter.Parameter", Known::kParameterClass},
    {"torch.serialization._get_layout", Known::kTorchGetLayout},
    {"torch.tensor._rebuild_from_type", Known::kRebuildFromType},
    {"torch.tensor._rebuild_from_type_v2", Known::kRebuildFromType},
});
static_assert(std::ranges::is_sorted(kRows, {}, &Row::name));

struct StorageRow {
  DType dtype;
  std::string_view stem;
};

// Types that PyTorch has a storage class for; newer types are saved as untyped bytes.
constexpr std::array kStorages = std::to_array<StorageRow>({
    {DType::kFloat64, "Double"},
    {DType::kFloat32, "Float"},
    {DType::kFloat16, "Half"},
    {DType::kInt64, "Long"},
    {DType::kInt32, "Int"},
    {DType::kInt16, "Short"},
    {DType::kInt8, "Char"},
    {DType::kUInt8, "Byte"},
    {DType::kBool, "Bool"},
    {DType::kBFloat16, "BFloat16"},
    {DType::kComplex64, "ComplexFloat"},
    {DType::kComplex128, "ComplexDouble"},
    {DType::kQInt8, "QInt8"},
    {DType::kQUInt8, "QUInt8"},
    {DType::kQInt32, "QInt32"},
    {DType::kQUInt4x2, "QUInt4x2"},
    {DType::kQUInt2x4, "QUInt2x4"},
});

constexpr std::array<std::string_view, kStorages.size()> kStorageClasses = {
    "DoubleStorage",  "FloatStorage",    "HalfStorage",         "LongStorage",
    "IntStorage",     "ShortStorage",    "CharStorage",         "ByteStorage",
    "BoolStorage",    "BFloat16Storage", "ComplexFloatStorage", "ComplexDoubleStorage",
    "QInt8Storage",   "QUInt8Storage",   "QInt32Storage",       "QUInt4x2Storage",
    "QUInt2x4Storage"};

constexpr bool classes_follow_the_stems() {
  for (std::size_t i = 0; i < kStorages.size(); ++i) {
    if (!kStorageClasses[i].starts_with(kStorages[i].stem)) return false;
  }
  return true;
}
static_assert(classes_follow_the_stems());

}  // namespace

Known known_global(std::string_view full_name) {
  const auto found = std::ranges::lower_bound(kRows, full_name, {}, &Row::name);
  if (found != kRows.end() && found->name == full_name) return found->known;
  if (full_name.starts_with("torch.")) {
    if (dtype_from_name(full_name.substr(6))) return Known::kTorchDType;
    if (storage_dtype(full_name)) return Known::kStorageClass;
  }
  return Known::kNothing;
}

std::optional<DType> storage_dtype(std::string_view full_name) {
  for (const std::string_view prefix : {"torch.cuda.", "torch.storage.", "torch."}) {
    if (!full_name.starts_with(prefix)) continue;
    std::string_view stem = full_name.substr(prefix.size());
    if (stem == "UntypedStorage" || stem == "_UntypedStorage") return DType::kUInt8;
    if (stem.ends_with("Storage")) {
      stem.remove_suffix(7);
    } else if (stem.ends_with("Tensor")) {
      stem.remove_suffix(6);
    } else {
      return std::nullopt;
    }
    const auto found = std::ranges::find(kStorages, stem, &StorageRow::stem);
    return found == kStorages.end() ? std::nullopt : std::optional(found->dtype);
  }
  return std::nullopt;
}

std::string_view storage_class(DType dtype) {
  const auto found = std::ranges::find(kStorages, dtype, &StorageRow::dtype);
  if (found == kStorages.end()) return {};
  return kStorageClasses[static_cast<std::size_t>(found - kStorages.begin())];
}

}  // namespace reprise::pickle
