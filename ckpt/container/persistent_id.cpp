#include "ckpt/container/persistent_id.h"

#include "ckpt/base/error.h"
#include "ckpt/pickle/globals.h"

#include <array>
#include <utility>

namespace reprise::container {

namespace {

std::span<const Value> items_of(Value id) {
  if (id.kind() != Kind::kTuple) return {};
  return id.as_sequence().items.span();
}

}  // namespace

StorageId parse_storage_id(Value id) {
  const auto items = items_of(id);
  const bool plain = (items.size() == 5 || items.size() == 6) && items[0].is_string() &&
                     items[0].as_string() == "storage" && items[2].is_string() && items[4].if_int();
  if (!plain)
    fail(Code::kCorrupt, "a persistent id that is no storage of PyTorch; the file is damaged");
  if (items[1].kind() != Kind::kGlobal) fail(Code::kCorrupt, "a storage whose class is no class");
  const auto dtype = pickle::storage_dtype(items[1].as_global());
  if (!dtype) {
    fail(Code::kUnsupported, "a storage of class {}, whose element type is not known",
         printable(items[1].as_global()));
  }
  StorageId parsed;
  parsed.dtype = *dtype;
  parsed.key = items[2].as_string();
  const std::int64_t elements = *items[4].if_int();
  const auto size = checked_multiply(elements, static_cast<std::int64_t>(item_size(*dtype)));
  if (elements < 0 || !size)
    fail(Code::kCorrupt, "storage '{}' of {} elements", printable(parsed.key), elements);
  parsed.elements = static_cast<std::uint64_t>(elements);
  parsed.size_bytes = static_cast<std::uint64_t>(*size);
  if (items.size() == 6) parsed.view = items[5];
  return parsed;
}

std::optional<Value> saved_class(Value id) {
  const auto items = items_of(id);
  if (items.size() < 2 || !items[0].is_string() || items[0].as_string() != "module")
    return std::nullopt;
  if (items[1].kind() != Kind::kGlobal)
    fail(Code::kCorrupt, "a saved module whose class is no class");
  return items[1];
}

Value storage_value(Arena& arena, DType dtype, std::shared_ptr<const Storage> storage) {
  const auto elements = static_cast<std::int64_t>(storage->size_bytes() / item_size(dtype));
  const std::array<Value, 1> field = {
      arena.tensor(Tensor::contiguous(dtype, {elements}, std::move(storage)))};
  return arena.record(RecordClass::kStorage, field);
}

std::size_t swap_width(DType dtype) {
  return is_complex(dtype) ? item_size(dtype) / 2 : item_size(dtype);
}

}  // namespace reprise::container
