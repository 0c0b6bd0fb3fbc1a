#include "ckpt/container/hdf5_foreign.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/hdf5_attributes.h"
#include "ckpt/container/hdf5_chunks.h"
#include "ckpt/container/hdf5_element.h"
#include "ckpt/container/hdf5_image.h"
#include "ckpt/container/hdf5_inert_values.h"
#include "ckpt/container/zip_storage.h"
#include "ckpt/pickle/text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace reprise::container {

namespace {

constexpr unsigned kGroupDepth = 64;
// Deflate makes at most 1032 bytes of one; a file that claims more holds no such dataset.
constexpr std::uint64_t kLargestRatio = 1100;
// Bytes of a dataset that is text.
constexpr std::uint64_t kLargestText = 1u << 20;

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

class ForeignReader {
 public:
  ForeignReader(std::shared_ptr<const MappedFile> file, std::uint64_t superblock, Arena& arena)
      : file_(std::move(file)),
        image_(file_->bytes(), superblock),
        arena_(arena),
        inert_(image_, arena, file_->bytes().size()) {}

  Value read() { return object(image_.root()); }

 private:
  // Objects that several links name are read once: the same dict, or the same tensor.
  Value object(std::uint64_t address) {
    if (const auto known = objects_.find(address); known != objects_.end()) return known->second;
    if (path_.size() > kGroupDepth || !open_.insert(address).second)
      fail(Code::kCorrupt, "HDF5 group {}: groups nest without end", printable(place()));
    Value value;
    try {
      value = read_object(address);
    } catch (const Error& error) {
      throw std::string_view(error.what()).starts_with("/") ? error : error.at(printable(place()));
    }
    open_.erase(address);
    return objects_[address] = value;
  }

  // Where the reader is: the path is only put together for who asks.
  std::string place() const { return fmt::format("/{}", fmt::join(path_, "/")); }

  Value read_object(std::uint64_t address) {
    std::vector<Hdf5Image::Link> links;
    Value value;
    {
      // Gone before the objects inside are read: long headers may lie in one another.
      const auto messages = image_.messages(address);
      value = is_dataset(messages) ? dataset(messages) : arena_.dict();
      const Value attributes = read_attributes(image_, messages, inert_, arena_);
      if (!attributes.is_none()) value = with_attributes(value, attributes);
      if (value.is_dict()) links = image_.links(messages);
    }
    for (const auto& link : links) {
      path_.push_back(link.name);
      value.as_dict().append(arena_, text(link.name), object(link.object));
      path_.pop_back();
    }
    return value;
  }

  using Messages = std::vector<Hdf5Image::Message>;

  static const Hdf5Image::Message* find(const Messages& messages, unsigned type) {
    const auto found = std::ranges::find(messages, type, &Hdf5Image::Message::type);
    return found == messages.end() ? nullptr : &*found;
  }

  static bool is_dataset(const Messages& messages) { return find(messages, kLayout) != nullptr; }

  Value with_attributes(Value value, Value attributes) {
    if (DictNode* dict = value.if_dict()) {
      dict->attributes = attributes;
    } else if (TensorNode* tensor = value.if_tensor()) {
      tensor->attributes = attributes;
    } else {
      if (value.if_opaque() == nullptr) {  // text has no room for attributes
        const Value text = value;
        value = arena_.opaque("hdf5.dataset");
        value.as_opaque().args = arena_.tuple(std::span(&text, 1));
      }
      value.as_opaque().state = attributes;
      value.as_opaque().has_state = true;
    }
    return value;
  }

  Value text(std::string_view name) {
    return pickle::is_utf8(name) ? arena_.borrowed_string(name)
                                 : arena_.borrowed_bytes(as_bytes(name));
  }

  Value dataset(const Messages& messages) {
    if (find(messages, kExternalFiles) != nullptr) refuse("values in other files");
    if (find(messages, kDatatype) == nullptr || find(messages, kDataspace) == nullptr)
      fail(Code::kCorrupt, "HDF5: a dataset without type or shape");
    const Hdf5Element type = read_element(find(messages, kDatatype)->body);
    if (!type.number) return other_values(type, messages);
    const auto* filters = find(messages, kFilters);
    Shape shape = read_space(find(messages, kDataspace)->body).value_or(Shape{0});
    const auto size = checked_multiply<std::uint64_t>(
        static_cast<std::uint64_t>(count_elements(shape)), type.size);
    if (!size || *size / kLargestRatio > file_->bytes().size()) {
      fail(Code::kCorrupt, "HDF5: a dataset that could not be in a file of {} bytes",
           file_->bytes().size());
    }
    auto storage = *size == 0 ? owned_storage({})
                              : values(shape, *size, type.size, find(messages, kLayout)->body,
                                       filters == nullptr ? std::vector<Hdf5Filter>()
                                                          : read_filters(filters->body));
    if (type.big_endian) storage = swapped_storage(std::move(storage), type.size);
    return arena_.tensor(Tensor::contiguous(*type.number, std::move(shape), std::move(storage)));
  }

  // Text, references, compounds: no weights. Text in chunks is not put together, and lists of it as
  // long as those that label data stay where they are: each element would become a value.
  Value other_values(const Hdf5Element& type, const Messages& messages) {
    const auto shape = read_space(find(messages, kDataspace)->body);
    const auto bytes = plain_bytes(find(messages, kLayout)->body);
    return bytes && bytes->size() <= kLargestText ? inert_.read(type, shape, *bytes)
                                                  : arena_.opaque("hdf5.dataset");
  }

  // The bytes of a compact or contiguous dataset; nothing for others and for one never written.
  std::optional<Bytes> plain_bytes(Bytes layout) const {
    ByteReader in(layout);
    const auto version = in.number<std::uint8_t>("a layout");
    const auto layout_class = in.number<std::uint8_t>("a layout");
    if (version != 3 && version != 4) return std::nullopt;
    if (layout_class == 0) return in.take(in.number<std::uint16_t>("a layout"), "compact values");
    if (layout_class != 1) return std::nullopt;
    const auto address = in.number<std::uint64_t>("a layout");
    const auto size = in.number<std::uint64_t>("a layout");
    if (address == Hdf5Image::kUndefined) return std::nullopt;
    return image_.at(address, size);
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
  Hdf5InertValues inert_;
  std::vector<std::string_view> path_;
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
