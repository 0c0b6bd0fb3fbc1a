// The attributes of HDF5 objects: what Keras and h5py keep beside the weights.
#pragma once

#include "ckpt/container/hdf5_image.h"
#include "ckpt/container/hdf5_inert_values.h"
#include "ckpt/state/value.h"

#include <vector>

namespace reprise::container {

// The attributes of the object with these header messages, as a dict from name to value in the
// file's order (by name where a heap holds them, as libhdf5 does from the ninth on in new files);
// none when there are none. Attribute messages of versions 1 to 3.
// Errors: kCorrupt, naming the attribute; kUnsupported for attributes in shared messages.
Value read_attributes(const Hdf5Image& image, const std::vector<Hdf5Image::Message>& messages,
                      Hdf5InertValues& values, Arena& arena);

}  // namespace reprise::container
