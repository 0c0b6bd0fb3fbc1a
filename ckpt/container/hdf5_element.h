// What the datatype and dataspace messages of other programs' HDF5 files say.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/state/dtype.h"
#include "ckpt/state/tensor.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace reprise::container {

// The classes of datatypes (specification IV.A.2.d).
enum class Hdf5Class : unsigned {
  kInteger,
  kFloat,
  kTime,
  kText,
  kBitfield,
  kOpaque,
  kCompound,
  kReference,
  kEnumeration,
  kVariableLength,
  kArray
};

// "integer", "compound", ...; "unknown" for numbers that the specification does not give.
std::string_view name(Hdf5Class type_class);

struct Hdf5Element {
  Hdf5Class type_class;
  std::uint64_t size;  // bytes of one in the file
  // The numeric type that this is; nothing for text, for classes that are no numbers, and for
  // numbers of a layout that tensors do not have. h5py's two-member enumeration is kBool.
  std::optional<DType> number;
  bool big_endian = false;
  bool variable_text = false;  // kVariableLength of characters
  bool ends_at_zero = false;   // kText that a zero byte ends, not only pads
  bool space_padded = false;   // kText
};

// Errors: kCorrupt when the message ends early.
Hdf5Element read_element(Bytes message);

// The shape; nothing for a null dataspace, which has no value at all.
// Errors: kCorrupt for extents that overflow; kUnsupported for unknown versions.
std::optional<Shape> read_space(Bytes message);

}  // namespace reprise::container
