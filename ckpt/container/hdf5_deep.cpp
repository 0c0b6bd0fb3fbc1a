// The only file that includes HDF5's header.
#include "ckpt/container/hdf5_deep.h"

#include "ckpt/base/error.h"
#include "ckpt/container/hdf5_content.h"

#include <hdf5.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace reprise::container {

namespace {

// libhdf5 keeps global state and is built without locks.
std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

// A handle of the library, closed by the function that its kind needs.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t), std::string_view what) : id_(id), close_(close) {
    if (id < 0) fail(Code::kCorrupt, "libhdf5 cannot open {}", what);
  }
  ~Handle() { close_(id_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  // Taken by all of the library's functions. NOLINTNEXTLINE(google-explicit-constructor)
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// The library prints its error stack to stderr unless told not to.
class Silence {
 public:
  Silence() {
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Silence() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

struct Found {
  std::vector<std::string> datasets;
  std::vector<std::string> odd;  // what is neither group nor dataset, or is no hard link
};

herr_t visit_link(hid_t group, const char* name, const H5L_info_t* info, void* out) {
  auto& found = *static_cast<Found*>(out);
  H5O_info_t object;
  const bool known = info->type == H5L_TYPE_HARD &&
                     H5Oget_info_by_name2(group, name, &object, H5O_INFO_BASIC, H5P_DEFAULT) >= 0;
  if (known && object.type == H5O_TYPE_GROUP) return 0;
  const bool dataset = known && object.type == H5O_TYPE_DATASET;
  (dataset ? found.datasets : found.odd).emplace_back(name);
  return 0;
}

class DeepCheck {
 public:
  DeepCheck(const Hdf5Reader& reader, const std::function<void(std::uint64_t)>& on_bytes)
      : reader_(reader), on_bytes_(on_bytes) {}

  VerifyReport run() {
    report_.has_digests = true;
    try {
      const Handle file(H5Fopen(reader_.path().c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose,
                        "the file");
      Found found;
      if (H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, visit_link, &found) < 0) {
        fail(Code::kCorrupt, "libhdf5 cannot walk the groups");
      }
      for (const std::string& name : found.odd)
        note(name, 0, "is a link or object that no checkpoint has");
      std::set<std::string> seen(found.datasets.begin(), found.datasets.end());
      for (const TensorEntry& entry : reader_.tensors()) {
        if (seen.erase(entry.name) == 0) {
          note(entry.name, entry.offset_bytes,
               "is in the tensor table, but libhdf5 does not find it");
          continue;
        }
        compare(file, entry);
      }
      for (const std::string& name : seen) {
        // The container's own, whose names no tensor can have.
        const std::set<std::string_view> own = {"reprise/tensors", "reprise/shapes",
                                                "reprise/digests", "reprise/names",
                                                "reprise/manifest"};
        if (!own.contains(name))
          note(name, 0, "is found by libhdf5, but is not in the tensor table");
      }
    } catch (const Error& error) {
      report_.problems.push_back({error.code(), "", 0, error.at(reader_.path().string()).what()});
    }
    return std::move(report_);
  }

 private:
  void note(const std::string& tensor, std::uint64_t offset, std::string_view what) {
    report_.problems.push_back({Code::kCorrupt, tensor, offset,
                                fmt::format("{}: dataset {} {}; HDF5 tools would see another "
                                            "checkpoint: convert it again from a good copy",
                                            reader_.path().string(), printable(tensor), what)});
  }

  void compare(hid_t file, const TensorEntry& entry) {
    const Handle dataset(H5Dopen2(file, entry.name.c_str(), H5P_DEFAULT), H5Dclose, entry.name);
    const Handle type(H5Dget_type(dataset), H5Tclose, entry.name);
    const Handle space(H5Dget_space(dataset), H5Sclose, entry.name);
    if (H5Tget_size(type) != item_size(entry.dtype))
      return note(entry.name, entry.offset_bytes, "has elements of another size");
    if (!same_shape(space, entry)) return note(entry.name, entry.offset_bytes, "has another shape");
    if (entry.size_bytes == 0) return;
    if (H5Dget_offset(dataset) != entry.offset_bytes)
      return note(entry.name, entry.offset_bytes, "lies at another place");
    // Tied tensors are one dataset under several names: read once, however many there are.
    const auto [known, is_new] = digests_.try_emplace({entry.offset_bytes, entry.size_bytes});
    if (is_new) known->second = digest(dataset, type, space, entry);
    if (known->second != entry.sha256) note(entry.name, entry.offset_bytes, "has other values");
  }

  static bool same_shape(hid_t space, const TensorEntry& entry) {
    if (entry.shape.size() > H5S_MAX_RANK) {
      return H5Sget_simple_extent_npoints(space) ==
             static_cast<hssize_t>(count_elements(entry.shape));
    }
    if (H5Sget_simple_extent_ndims(space) != static_cast<int>(entry.shape.size())) return false;
    std::vector<hsize_t> extents(entry.shape.size());
    H5Sget_simple_extent_dims(space, extents.data(), nullptr);
    return std::equal(extents.begin(), extents.end(), entry.shape.begin(),
                      [](hsize_t a, std::int64_t b) { return a == static_cast<hsize_t>(b); });
  }

  // Digest of the values as libhdf5 reads them, without conversion: slabs along the
  // first dimension, so that memory is bounded by one row and not by the tensor.
  Digest digest(hid_t dataset, hid_t type, hid_t space, const TensorEntry& entry) {
    const int rank = H5Sget_simple_extent_ndims(space);
    std::vector<hsize_t> extents(static_cast<std::size_t>(std::max(rank, 1)), 1);
    H5Sget_simple_extent_dims(space, extents.data(), nullptr);
    const std::uint64_t row_bytes = entry.size_bytes / extents[0];
    const hsize_t rows = std::max<hsize_t>(1, (4u << 20) / row_bytes);
    std::vector<std::byte> buffer(std::min<hsize_t>(rows, extents[0]) * row_bytes);
    Sha256 hash;
    for (hsize_t first = 0; first < extents[0]; first += rows) {
      std::vector<hsize_t> start(extents.size(), 0);
      std::vector<hsize_t> count = extents;
      start[0] = first;
      count[0] = std::min(rows, extents[0] - first);
      const Handle memory(
          rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, count.data(), nullptr),
          H5Sclose, "memory");
      if (rank > 0)
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
      if (H5Dread(dataset, type, memory, space, H5P_DEFAULT, buffer.data()) < 0) {
        fail(Code::kCorrupt, "libhdf5 cannot read {}", printable(entry.name));
      }
      const Bytes read = Bytes(buffer).first(count[0] * row_bytes);
      hash.update(read);
      report_.bytes_read += read.size();
      if (on_bytes_) on_bytes_(read.size());
    }
    return hash.finish();
  }

  const Hdf5Reader& reader_;
  const std::function<void(std::uint64_t)>& on_bytes_;
  VerifyReport report_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Digest> digests_;  // by place and size
};

}  // namespace

VerifyReport verify_deep(const Hdf5Reader& reader,
                         const std::function<void(std::uint64_t)>& on_bytes) {
  const std::lock_guard lock(library_mutex());
  const Silence silence;
  return DeepCheck(reader, on_bytes).run();
}

}  // namespace reprise::container
