// Values of HDF5 attributes, and of datasets that are no tensors, as inert values.
#pragma once

#include "ckpt/container/hdf5_element.h"
#include "ckpt/container/hdf5_heap.h"
#include "ckpt/state/value.h"

#include <cstdint>
#include <optional>

namespace reprise::container {

// Numbers and text become what h5py gives: a scalar by itself, a list for one dimension, a numpy
// array for more; text that is not UTF-8 becomes bytes, h5py's booleans bool. A null dataspace is
// none. What is no number and no text (compounds, references, numbers of odd widths, ...) becomes
// an opaque value named after its class, which says that it was not read. Text is not copied: the
// file has to outlive the arena. Not for use from several threads.
class Hdf5InertValues {
 public:
  // `file_bytes` bounds what all values of a file may hold together: none lies there twice.
  Hdf5InertValues(const Hdf5Image& image, Arena& arena, std::uint64_t file_bytes)
      : arena_(arena), heaps_(image), data_budget_(file_bytes), text_budget_(file_bytes) {}

  // Errors: kCorrupt when `data` is not what type and shape ask for, or for text that the global
  // heaps do not hold, or hold once and give out again and again.
  Value read(const Hdf5Element& type, const std::optional<Shape>& shape, Bytes data);

 private:
  Value one(const Hdf5Element& type, Bytes element);
  Value number(const Hdf5Element& type, Bytes element);
  Value text(Bytes bytes);
  Value unread(const Hdf5Element& type, std::uint64_t count);
  Value array(const Hdf5Element& type, const Shape& shape, Bytes data, Value items);

  Arena& arena_;
  GlobalHeaps heaps_;
  std::uint64_t data_budget_;
  std::uint64_t text_budget_;
};

}  // namespace reprise::container
