// HDF5 datatype messages of our element types.
#pragma once

#include "ckpt/container/hdf5_bytes.h"
#include "ckpt/container/hdf5_metadata.h"

namespace reprise::container {

// The size in bytes of one row of the tensor table.
inline constexpr std::size_t kTensorRecordBytes = 88;

// Appends the body of a datatype message (specification IV.A.2.d).
void put_datatype(ByteWriter& out, const std::variant<DType, TableType>& type);
void put_text_type(ByteWriter& out, std::size_t size_bytes);

// Whether the HDF5 type says all there is to say; if not, the dataset carries the
// dtype's name in an attribute `dtype`.
bool needs_dtype_attribute(DType dtype);

}  // namespace reprise::container
