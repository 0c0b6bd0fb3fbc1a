// Weights in HDF5 files of other programs: Keras, h5py.
#pragma once

#include "ckpt/state/value.h"

#include <filesystem>

namespace reprise::container {

// Groups as dicts, numeric datasets as tensors: contiguous and compact ones mapped, chunked
// ones (plain, gzip, shuffle, Fletcher-32) put together when first touched. Numbers in
// big-endian order are turned. Datasets of other types (text, references) become opaque
// values. Attributes are not read. Never calls libhdf5.
// Errors: kNotFound, kIo; kCorrupt; kUnsupported for what could lead out of the file
// (external and soft links, virtual datasets, external storage), other filters, and
// structures that weight files do not use, naming the object and how to rewrite it.
Document open_foreign_hdf5(const std::filesystem::path& path);

}  // namespace reprise::container
