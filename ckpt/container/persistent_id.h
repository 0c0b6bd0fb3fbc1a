// Persistent ids of PyTorch's pickles: storages, and the classes of saved modules.
#pragma once

#include "ckpt/state/storage.h"
#include "ckpt/state/value.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace reprise::container {

// ("storage", class, key, location, elements) of zip and TorchScript files;
// a sixth item, in legacy ones, says which part of the storage is meant.
struct StorageId {
  DType dtype = DType::kUInt8;
  std::string_view key;
  std::uint64_t elements = 0;
  std::uint64_t size_bytes = 0;  // elements x item size, which fits
  Value view;                    // none, or (key of the view, offset, elements)
};

// Errors: kCorrupt when `id` is no such tuple, or its size overflows; kUnsupported when
// the class is no storage of a known element type.
StorageId parse_storage_id(Value id);

// The class in ("module", class, source file, source text), which legacy files hold for
// each class derived from nn.Module; nothing for other ids.
std::optional<Value> saved_class(Value id);

// A bare storage as a value: a record of a 1-d tensor over all of it.
Value storage_value(Arena& arena, DType dtype, std::shared_ptr<const Storage> storage);

// Bytes that the byte order of a machine turns around in an element; half an element
// for complex types.
std::size_t swap_width(DType dtype);

}  // namespace reprise::container
