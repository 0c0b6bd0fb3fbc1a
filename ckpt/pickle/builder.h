// What calls and states in a pickle become: values with a known meaning, or records.
#pragma once

#include "ckpt/pickle/globals.h"
#include "ckpt/pickle/keys.h"
#include "ckpt/state/value.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace reprise::pickle {

// Makes the values that a machine puts on its stack. Calls nothing: a global is a row
// in a table here, or a name. One per pickle.
class Builder {
 public:
  // `tensor_bytes` bounds the logical size of all tensors together: a view with stride
  // 0 can declare any number of bytes in a file of any size.
  Builder(Arena& arena, KeyTables& keys, std::uint64_t tensor_bytes)
      : arena_(arena), keys_(keys), tensor_bytes_left_(tensor_bytes) {}

  // The value of a global by its Python 3 name: a dtype, or the global itself.
  Value global(std::string_view full_name);

  // `callee`(*`args`, **`kwargs`), or an instance made by its __new__. `args` is a
  // tuple, `kwargs` a dict or none. What has no known meaning becomes an Opaque.
  // Errors: kCorrupt for arguments that no writer produces: sizes outside a storage,
  // array data of the wrong length.
  Value call(Value callee, Value args, Value kwargs = {});

  // BUILD: gives `object` its state. Errors: kCorrupt where Python would fail too.
  void set_state(Value object, Value state);

  Arena& arena() { return arena_; }
  KeyTables& keys() { return keys_; }

 private:
  Value record_call(Value callee, Value args, Value kwargs);
  void spend_on_members(Value state);
  Value sequence_of(Kind kind, Value items);
  Value dict_of(DictClass dict_class, std::span<const Value> args, Value args_tuple, Value callee);

  Arena& arena_;
  KeyTables& keys_;
  std::uint64_t tensor_bytes_left_;
};

// The bytes of what Python 2 or 3 may have used for bytes: bytes, bytearray, or a
// Python 2 str that was read as text.
std::optional<Bytes> bytes_of(Value value);

// The four families of known calls, each in a file of its own. None of them returns a
// value when the arguments are not what the function takes, and the call is recorded.

// torch._utils._rebuild_*, Parameter, torch.Size and torch.device. `tensor_bytes_left`
// is reduced by the logical size of what is made.
std::optional<Value> build_torch(Arena& arena, Known known, std::span<const Value> args,
                                 std::uint64_t& tensor_bytes_left);
// numpy's scalar, _reconstruct, _frombuffer and dtype.
std::optional<Value> build_numpy(Arena& arena, Known known, std::span<const Value> args);
void set_numpy_dtype_state(Arena& arena, RecordNode& dtype, Value state);
void set_numpy_array_state(Arena& arena, RecordNode& array, Value state);
// datetime and pathlib.
std::optional<Value> build_library(Arena& arena, Known known, std::string_view class_name,
                                   std::span<const Value> args);

}  // namespace reprise::pickle
