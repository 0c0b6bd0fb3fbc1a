// Weights in HDF5 files of other programs: Keras, h5py.
#pragma once

#include "ckpt/state/value.h"

#include <filesystem>

namespace reprise::container {

// Groups as dicts, numeric datasets as tensors: contiguous and compact ones mapped, chunked
// ones (plain, gzip, shuffle, Fletcher-32) put together when first touched. Numbers in
// big-endian order are turned. Text that is not chunked becomes text; datasets of other types
// become opaque values. Attributes become those of the dict or tensor, or the state of an opaque
// value (hdf5_inert_values.h). Never calls libhdf5.
// Errors: kNotFound, kIo; kCorrupt; kUnsupported for what could lead out of the file
// (external and soft links, virtual datasets, external storage), other filters, and
// structures that weight files do not use, naming the object and how to rewrite it.
Document open_foreign_hdf5(const std::filesystem::path& path);

}  // namespace reprise::container
