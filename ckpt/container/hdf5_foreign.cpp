#include "ckpt/container/hdf5_foreign.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/hdf5_chunks.h"
#include "ckpt/container/hdf5_image.h"
#include "ckpt/container/zip_storage.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>

namespace reprise::container {

namespace {

constexpr unsigned kGroupDepth = 64;
// Deflate makes at most 1032 bytes of one; a file that claims more holds no such dataset.
constexpr std::uint64_t kLargestRatio = 1100;

enum MessageType : unsigned {
  kDataspace = 0x01,
  kDatatype = 0x03,
  kExternalFiles = 0x07,
  kLayout = 0x08,
  kFilters = 0x0b
};

[[noreturn]] void refuse(std::string_view what) {
  fail(Code::kUnsupported, "HDF5: {}; rewrite the file with h5repack or h5py in its default format",
       what);
}

struct ElementType {
  DType dtype;
  std::size_t size;  // in the file
  bool big_endian;
};

std::optional<DType> integer_type(std::size_t size, bool is_signed) {
  switch (size) {
    case 1: return is_signed ? DType::kInt8 : DType::kUInt8;
    case 2: return is_signed ? DType::kInt16 : DType::kUInt16;
    case 4: return is_signed ? DType::kInt32 : DType::kUInt32;
    case 8: return is_signed ? DType::kInt64 : DType::kUInt64;
    default: return std::nullopt;
  }
}

// Sign, exponent and mantissa as IEEE 754 (or bfloat16) places them.
std::optional<DType> float_type(std::size_t size, Bytes properties, unsigned sign_at) {
  if (properties.size() < 12) return std::nullopt;
  const auto byte = [&](std::size_t i) { return std::to_integer<unsigned>(properties[i]); };
  const auto bias = load_little<std::uint32_t>(properties.data() + 8);
  const auto is = [&](std::size_t bytes, unsigned exponent_at, unsigned exponent, unsigned b) {
    return size == bytes && sign_at == bytes * 8 - 1 && byte(4) == exponent_at &&
           byte(5) == exponent && byte(6) == 0 && byte(7) == exponent_at && bias == b;
  };
  if (is(2, 10, 5, 15)) return DType::kFloat16;
  if (is(2, 7, 8, 127)) return DType::kBFloat16;
  if (is(4, 23, 8, 127)) return DType::kFloat32;
  if (is(8, 52, 11, 1023)) return DType::kFloat64;
  return std::nullopt;
}

// Nothing for types that are no numbers.
std::optional<ElementType> read_type(Bytes message) {
  ByteReader in(message);
  const unsigned head = in.number<std::uint8_t>("a datatype");
  const unsigned flags =
      in.number<std::uint8_t>("a datatype") | in.number<std::uint8_t>("a datatype") * 256u;
  in.take(1, "a datatype");
  const std::size_t size = in.number<std::uint32_t>("a datatype");
  const Bytes properties = in.take(in.remaining(), "a datatype");
  std::optional<DType> dtype;
  if ((head & 15) == 0) dtype = integer_type(size, (flags & 8) != 0);
  if ((head & 15) == 1) dtype = float_type(size, properties, flags >> 8);
  if ((head & 15) == 8 && size == 1 && (flags & 0xffff) == 2)
    return ElementType{DType::kBool, 1, false};  // h5py's bool
  if (!dtype) return std::nullopt;
  return ElementType{*dtype, size, (flags & 1) != 0};
}

Shape read_space(Bytes message) {
  ByteReader in(message);
  const auto version = in.number<std::uint8_t>("a dataspace");
  const auto rank = in.number<std::uint8_t>("a dataspace");
  in.take(1, "a dataspace");
  const auto type = in.number<std::uint8_t>("a dataspace");
  if (version == 1) in.take(4, "a dataspace");
  if (version == 0 || version > 2) refuse(fmt::format("a dataspace of version {}", version));
  if (version == 2 && type == 2) return {0};  // a null dataspace has no elements
  Shape shape;
  for (unsigned d = 0; d < rank; ++d) shape.push_back(in.number<std::int64_t>("an extent"));
  count_elements(shape);
  return shape;
}

class ForeignReader {
 public:
  ForeignReader(std::shared_ptr<const MappedFile> file, std::uint64_t superblock, Arena& arena)
      : file_(std::move(file)), image_(file_->bytes(), superblock), arena_(arena) {}

  Value read() { return object(image_.root(), "", 0); }

 private:
  // Objects that several links name are read once: the same dict, or the same tensor.
  Value object(std::uint64_t address, const std::string& path, unsigned depth) {
    if (const auto known = objects_.find(address); known != objects_.end()) return known->second;
    if (depth > kGroupDepth || !open_.insert(address).second) {
      fail(Code::kCorrupt, "HDF5 group {}: groups nest without end", printable(path));
    }
    Value value;
    try {
      value = read_object(address, path, depth);
    } catch (const Error& error) {
      throw std::string_view(error.what()).starts_with("/") ? error
                                                            : error.at("/" + printable(path));
    }
    open_.erase(address);
    return objects_[address] = value;
  }

  Value read_object(std::uint64_t address, const std::string& path, unsigned depth) {
    const auto messages = image_.messages(address);
    const auto find = [&](unsigned type) -> const Hdf5Image::Message* {
      for (const auto& message : messages) {
        if (message.type == type) return &message;
      }
      return nullptr;
    };
    if (find(kLayout) != nullptr) {
      if (find(kExternalFiles) != nullptr) refuse("values in other files");
      if (find(kDatatype) == nullptr || find(kDataspace) == nullptr) {
        fail(Code::kCorrupt, "HDF5: a dataset without type or shape");
      }
      const auto* filters = find(kFilters);
      return dataset(find(kDatatype)->body, find(kDataspace)->body, find(kLayout)->body,
                     filters == nullptr ? std::vector<Hdf5Filter>() : read_filters(filters->body));
    }
    const Value dict = arena_.dict();
    for (const auto& link : image_.links(messages)) {
      dict.as_dict().append(
          arena_, link.name,
          object(link.object, path.empty() ? link.name : path + "/" + link.name, depth + 1));
    }
    return dict;
  }

  Value dataset(Bytes type_message, Bytes space_message, Bytes layout,
                std::vector<Hdf5Filter> filters) {
    const auto type = read_type(type_message);
    if (!type) return arena_.opaque("hdf5.dataset");  // text, references, compounds: no weights
    Shape shape = read_space(space_message);
    const auto size = checked_multiply<std::uint64_t>(
        static_cast<std::uint64_t>(count_elements(shape)), type->size);
    if (!size || *size / kLargestRatio > file_->bytes().size()) {
      fail(Code::kCorrupt, "HDF5: a dataset that could not be in a file of {} bytes",
           file_->bytes().size());
    }
    auto storage = *size == 0 ? owned_storage({})
                              : values(shape, *size, type->size, layout, std::move(filters));
    if (type->big_endian) storage = swapped_storage(std::move(storage), type->size);
    return arena_.tensor(Tensor::contiguous(type->dtype, std::move(shape), std::move(storage)));
  }

  std::shared_ptr<const Storage> values(const Shape& shape, std::uint64_t size,
                                        std::size_t item_bytes, Bytes layout,
                                        std::vector<Hdf5Filter> filters) {
    ByteReader in(layout);
    const auto version = in.number<std::uint8_t>("a layout");
    if (version != 3 && version != 4) refuse(fmt::format("a layout of version {}", version));
    const auto layout_class = in.number<std::uint8_t>("a layout");
    if (layout_class == 0) {
      const Bytes compact = in.take(in.number<std::uint16_t>("a layout"), "compact values");
      if (compact.size() != size)
        fail(Code::kCorrupt, "HDF5: {} bytes of values, {} were expected", compact.size(), size);
      return borrowed_storage(compact, file_);
    }
    if (layout_class == 1) {
      const auto address = in.number<std::uint64_t>("a layout");
      if (in.number<std::uint64_t>("a layout") != size)
        fail(Code::kCorrupt, "HDF5: values of another size than the shape");
      if (address == Hdf5Image::kUndefined)
        return owned_storage(std::vector<std::byte>(size));  // never written: zeros
      const Bytes bytes = image_.at(address, size);
      return mapped_storage(file_, static_cast<std::uint64_t>(bytes.data() - file_->bytes().data()),
                            size);
    }
    if (layout_class == 3) refuse("a virtual dataset, whose values are in other files");
    if (layout_class != 2 || version != 3)
      refuse("chunks in the newest file format (libver='latest')");
    const unsigned rank = in.number<std::uint8_t>("a layout");
    if (rank != shape.size() + 1)
      fail(Code::kCorrupt, "HDF5: chunks of another rank than the dataset");
    const auto tree = in.number<std::uint64_t>("a layout");
    ChunkedDataset chunked{shape, {}, item_bytes, std::move(filters), {}};
    std::uint64_t chunk_bytes = item_bytes;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      chunked.chunk_shape.push_back(in.number<std::uint32_t>("a chunk's shape"));
      const auto next = checked_multiply(chunk_bytes, chunked.chunk_shape.back());
      if (!next || *next == 0 || *next > (std::uint64_t{4} << 30))
        fail(Code::kCorrupt, "HDF5: chunks of an impossible shape");
      chunk_bytes = *next;
    }
    chunked.chunks = read_chunk_index(image_, tree, shape.size());
    return chunked_storage(file_, std::move(chunked));
  }

  std::shared_ptr<const MappedFile> file_;
  Hdf5Image image_;
  Arena& arena_;
  std::map<std::uint64_t, Value> objects_;
  std::set<std::uint64_t> open_;
};

std::uint64_t find_superblock(Bytes file) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  for (std::uint64_t at = 0; fits(at, 96, file.size()); at = at == 0 ? 512 : at * 2) {
    if (as_text(file.subspan(at, kSignature.size())) == kSignature) return at;
  }
  fail(Code::kCorrupt, "no HDF5 superblock; the file is truncated or no HDF5 file");
}

}  // namespace

Document open_foreign_hdf5(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  Document document;
  document.path = path.string();
  document.container = "hdf5-foreign";
  document.arena->keep_alive(file);
  try {
    const std::uint64_t superblock = find_superblock(file->bytes());
    document.root = ForeignReader(file, superblock, *document.arena).read();
  } catch (const Error& error) {
    throw error.at(path.string());
  }
  return document;
}

}  // namespace reprise::container
