#include "ckpt/container/hdf5_metadata.h"

#include "ckpt/base/error.h"
#include "ckpt/container/hdf5_bytes.h"
#include "ckpt/container/hdf5_types.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>

namespace reprise::container {

namespace {

constexpr std::uint64_t kUndefined = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kHdf5RankLimit = 32;
// A link has to fit an object of a heap (4096 bytes).
constexpr std::size_t kLongestLink = 4000;

// As many links as libhdf5 itself keeps in a group's header; more go to a heap with a
// name index. The index is one leaf, whose record count has 16 bits: groups that are
// larger still fall back to the header, which is correct, only slower to search.
constexpr std::size_t kCompactLinks = 8;
constexpr std::size_t kIndexedLinks = 65'535;

enum Message : unsigned {
  kDataspace = 0x01,
  kLinkInfo = 0x02,
  kDatatype = 0x03,
  kFillValue = 0x05,
  kLink = 0x06,
  kLayout = 0x08,
  kGroupInfo = 0x0a,
  kAttribute = 0x0c,
  kReferenceCount = 0x16,
};
constexpr unsigned kConstantMessage = 1;

struct Object {
  const Dataset* dataset = nullptr;  // else a group
  std::vector<std::pair<std::string, Object*>> links;
  std::unordered_map<std::string_view, Object*> by_name;
  std::uint32_t names = 1;
  std::uint64_t address = kUndefined;
};

// The messages of one object header, version 2 (specification IV.A.1.b).
class ObjectHeader {
 public:
  ByteWriter& begin(Message type, unsigned flags = 0) {
    end();
    messages_.u8(type);
    open_ = messages_.position();
    messages_.u16(0).u8(flags);
    return messages_;
  }

  void write(ByteWriter& out) {
    end();
    const std::uint64_t start = out.position();
    out.text("OHDR").u8(2).u8(2).u32(messages_.position()).bytes(messages_.view());
    out.checksum(start);
  }

 private:
  void end() {
    if (!open_) return;
    const std::uint64_t size = messages_.position() - *open_ - 3;
    if (size > 0xffff) fail(Code::kUnsupported, "an HDF5 message of {} bytes", size);
    messages_.patch(*open_, static_cast<std::uint16_t>(size));
    open_.reset();
  }

  ByteWriter messages_;
  std::optional<std::uint64_t> open_;
};

void put_dataspace(ByteWriter& out, std::span<const std::int64_t> shape, std::int64_t elements) {
  if (shape.empty()) {
    out.u8(2).u8(0).u8(0).u8(0);
  } else if (shape.size() <= kHdf5RankLimit) {
    out.u8(2).u8(static_cast<unsigned>(shape.size())).u8(0).u8(1);
    for (const std::int64_t extent : shape) out.number(extent);
  } else {  // HDF5 stops at 32 dimensions: flat; the table keeps the shape
    out.u8(2).u8(1).u8(0).u8(1).number(elements);
  }
}

template <typename PutType>
void put_attribute(ByteWriter& out, std::string_view name, PutType put_type, Bytes value) {
  ByteWriter type;
  put_type(type);
  out.u8(3).u8(0).u16(name.size() + 1).u16(type.position()).u16(4).u8(1);  // 1: name is UTF-8
  out.text(name).u8(0).bytes(type.view());
  put_dataspace(out, {}, 1);
  out.bytes(value);
}

void put_text_attribute(ObjectHeader& header, std::string_view name, std::string_view text) {
  const std::string padded = text.empty() ? std::string(1, '\0') : std::string(text);
  put_attribute(
      header.begin(kAttribute), name, [&](ByteWriter& out) { put_text_type(out, padded.size()); },
      as_bytes(padded));
}

void put_link(ByteWriter& out, std::string_view name, std::uint64_t target) {
  // Version 1; hard link, UTF-8 name, two bytes of length.
  out.u8(1).u8(1 | 1 << 4).u8(1).u16(name.size()).text(name).u64(target);
}

class Encoder {
 public:
  explicit Encoder(std::uint64_t file_bytes) : file_bytes_(file_bytes) {
    out_.zeros(kSuperblockBytes);  // filled in when the root is known
  }

  std::vector<std::byte> encode(std::span<const Dataset> datasets,
                                std::span<const Attribute> attributes) {
    for (const Dataset& dataset : datasets) insert(dataset);
    write_datasets();
    write_group(root_, attributes);
    write_superblock();
    return out_.take();
  }

 private:
  static constexpr std::uint64_t kSuperblockBytes = 48;

  static Object* add(Object& parent, std::string_view name, Object* child) {
    parent.links.emplace_back(std::string(name), child);
    return parent.by_name[name] = child;
  }

  Object* make() {
    objects_.push_back(std::make_unique<Object>());
    return objects_.back().get();
  }

  void insert(const Dataset& dataset) {
    Object* group = &root_;
    std::string_view rest = dataset.name;
    const auto refuse = [&](std::string_view why) {
      fail(Code::kCorrupt, "tensor name '{}' {}", printable(dataset.name), why);
    };
    while (true) {
      const auto slash = rest.find('/');
      const std::string_view component = rest.substr(0, slash);
      if (component.empty() || component == "." || component.size() > kLongestLink)
        refuse("has a component that HDF5 cannot hold");
      const auto known = group->by_name.find(component);
      if (slash == std::string_view::npos) {
        if (known != group->by_name.end()) refuse("is taken by another tensor or group");
        add(*group, component, dataset_object(dataset));
        return;
      }
      Object* next = known == group->by_name.end() ? add(*group, component, make()) : known->second;
      if (next->dataset != nullptr) refuse("lies below another tensor");
      group = next;
      rest.remove_prefix(slash + 1);
    }
  }

  Object* dataset_object(const Dataset& dataset) {
    if (dataset.tied >= 0) {
      if (const auto found = tied_.find(dataset.tied); found != tied_.end()) {
        ++found->second->names;
        return found->second;
      }
    }
    Object* object = make();
    object->dataset = &dataset;
    datasets_.push_back(object);
    if (dataset.tied >= 0) tied_.emplace(dataset.tied, object);
    return object;
  }

  // HDF5 addresses count from the superblock.
  std::uint64_t here() {
    out_.align(8);
    return out_.position();
  }

  void write_datasets() {
    for (Object* object : datasets_) {
      const Dataset& dataset = *object->dataset;
      ObjectHeader header;
      std::int64_t elements = 1;
      for (const std::int64_t extent : dataset.shape) elements *= extent;
      put_dataspace(header.begin(kDataspace), dataset.shape, elements);
      put_datatype(header.begin(kDatatype, kConstantMessage), dataset.type);
      // Version 3: space allocated early, fill value never written.
      header.begin(kFillValue, kConstantMessage).u8(3).u8(1 | 1 << 2);
      const bool empty = dataset.size_bytes == 0;
      header.begin(kLayout)
          .u8(3)
          .u8(1)
          .u64(empty ? kUndefined : dataset.offset_bytes - kSuperblockOffset)
          .u64(dataset.size_bytes);
      if (const DType* dtype = std::get_if<DType>(&dataset.type);
          dtype && needs_dtype_attribute(*dtype)) {
        put_text_attribute(header, "dtype", reprise::name(*dtype));
      }
      if (object->names > 1) header.begin(kReferenceCount).u8(0).u32(object->names);
      object->address = here();
      header.write(out_);
    }
  }

  void write_group(Object& group, std::span<const Attribute> attributes) {
    for (auto& [name, child] : group.links) {
      if (child->dataset == nullptr) write_group(*child, {});
    }
    std::uint64_t heap = kUndefined;
    std::uint64_t index = kUndefined;
    const bool indexed = group.links.size() > kCompactLinks && group.links.size() <= kIndexedLinks;
    if (indexed) std::tie(heap, index) = write_links(group);
    ObjectHeader header;
    header.begin(kLinkInfo).u8(0).u8(0).u64(heap).u64(index);
    header.begin(kGroupInfo, kConstantMessage).u8(0).u8(0);
    if (!indexed) {
      for (const auto& [name, child] : group.links)
        put_link(header.begin(kLink), name, child->address);
    }
    for (const Attribute& attribute : attributes) put_root_attribute(header, attribute);
    group.address = here();
    header.write(out_);
  }

  static void put_root_attribute(ObjectHeader& header, const Attribute& attribute) {
    if (const auto* text = std::get_if<std::string>(&attribute.value)) {
      put_text_attribute(header, attribute.name, *text);
    } else if (const auto* integer = std::get_if<std::int64_t>(&attribute.value)) {
      put_attribute(
          header.begin(kAttribute), attribute.name,
          [](ByteWriter& out) { put_datatype(out, DType::kInt64); },
          std::as_bytes(std::span(integer, 1)));
    } else {
      const double& real = std::get<double>(attribute.value);
      put_attribute(
          header.begin(kAttribute), attribute.name,
          [](ByteWriter& out) { put_datatype(out, DType::kFloat64); },
          std::as_bytes(std::span(&real, 1)));
    }
  }

  // Links in a fractal heap of one direct block, with a name index of one leaf
  // (specification III.G and III.A.2). Returns the addresses of both headers.
  std::pair<std::uint64_t, std::uint64_t> write_links(const Object& group) {
    constexpr std::uint64_t kHeapHeaderBytes = 142 + 4;
    constexpr std::uint64_t kBlockOverhead = 4 + 1 + 8 + 4 + 4;
    struct Record {
      std::uint32_t hash;
      std::uint32_t at;
      std::uint16_t length;
      std::string_view name;
    };
    std::vector<Record> records;
    records.reserve(group.links.size());
    ByteWriter links;
    for (const auto& [name, child] : group.links) {
      const std::uint64_t at = links.position();
      put_link(links, name, child->address);
      records.push_back({lookup3(as_bytes(name)), static_cast<std::uint32_t>(at + kBlockOverhead),
                         static_cast<std::uint16_t>(links.position() - at), name});
    }
    const std::uint64_t used = links.position() + kBlockOverhead;
    const std::uint64_t block_bytes = std::bit_ceil(std::max<std::uint64_t>(used, 512));

    const std::uint64_t heap = here();
    const std::uint64_t block = align_up(heap + kHeapHeaderBytes, 8);
    out_.text("FRHP").u8(0).u16(7).u16(0).u8(2).u32(
        4096);                                     // ids of 7 bytes, checksums, largest object
    out_.u64(0).u64(kUndefined);                   // no huge objects
    out_.u64(block_bytes - used).u64(kUndefined);  // free space, not tracked
    out_.u64(block_bytes).u64(block_bytes).u64(block_bytes).u64(records.size());
    out_.u64(0).u64(0).u64(0).u64(0);                              // huge and tiny objects
    out_.u16(4).u64(block_bytes).u64(block_bytes).u16(32).u16(1);  // doubling table: one block
    out_.u64(block).u16(0);
    out_.checksum(heap);
    out_.align(8);

    out_.text("FHDB").u8(0).u64(heap).u32(0);
    const std::uint64_t checksum_at = out_.position();
    out_.u32(0).bytes(links.view()).zeros(block_bytes - used);
    out_.patch(checksum_at, lookup3(out_.view().subspan(block)));

    std::sort(records.begin(), records.end(), [](const Record& a, const Record& b) {
      return a.hash != b.hash ? a.hash < b.hash : a.name < b.name;
    });
    const std::size_t leaf_bytes = 10 + 11 * records.size();
    const std::uint64_t index = here();
    const std::uint64_t leaf = align_up(index + 38, 8);
    out_.text("BTHD").u8(0).u8(5).u32(leaf_bytes).u16(11).u16(0).u8(100).u8(40);
    out_.u64(leaf).u16(records.size()).u64(records.size());
    out_.checksum(index);
    out_.align(8);
    out_.text("BTLF").u8(0).u8(5);
    for (const Record& record : records)
      out_.u32(record.hash).u8(0).u32(record.at).u16(record.length);
    out_.checksum(leaf);
    return {heap, index};
  }

  void write_superblock() {
    out_.align(8);
    ByteWriter superblock;
    superblock.text("\x89HDF\r\n\x1a\n").u8(3).u8(8).u8(8).u8(0);
    superblock.u64(kSuperblockOffset).u64(kUndefined).u64(file_bytes_).u64(root_.address);
    superblock.checksum(0);
    for (std::uint64_t i = 0; i < kSuperblockBytes; ++i) out_.patch(i, superblock.view()[i]);
  }

  std::uint64_t file_bytes_;
  ByteWriter out_;
  Object root_;
  std::vector<std::unique_ptr<Object>> objects_;
  std::vector<Object*> datasets_;
  std::unordered_map<std::int64_t, Object*> tied_;
};

}  // namespace

std::vector<std::byte> encode_hdf5(std::span<const Dataset> datasets,
                                   std::span<const Attribute> attributes,
                                   std::uint64_t file_bytes) {
  return Encoder(file_bytes).encode(datasets, attributes);
}

std::uint32_t lookup3(Bytes bytes) {
  const auto rotate = [](std::uint32_t x, int k) { return std::rotl(x, k); };
  std::uint32_t a = 0xdeadbeef + static_cast<std::uint32_t>(bytes.size());
  std::uint32_t b = a;
  std::uint32_t c = a;
  while (bytes.size() > 12) {
    a += load_little<std::uint32_t>(bytes.data());
    b += load_little<std::uint32_t>(bytes.data() + 4);
    c += load_little<std::uint32_t>(bytes.data() + 8);
    a -= c;
    a ^= rotate(c, 4);
    c += b;
    b -= a;
    b ^= rotate(a, 6);
    a += c;
    c -= b;
    c ^= rotate(b, 8);
    b += a;
    a -= c;
    a ^= rotate(c, 16);
    c += b;
    b -= a;
    b ^= rotate(a, 19);
    a += c;
    c -= b;
    c ^= rotate(b, 4);
    b += a;
    bytes = bytes.subspan(12);
  }
  if (bytes.empty()) return c;
  std::array<std::byte, 12> last{};
  std::copy(bytes.begin(), bytes.end(), last.begin());
  a += load_little<std::uint32_t>(last.data());
  b += load_little<std::uint32_t>(last.data() + 4);
  c += load_little<std::uint32_t>(last.data() + 8);
  c ^= b;
  c -= rotate(b, 14);
  a ^= c;
  a -= rotate(c, 11);
  b ^= a;
  b -= rotate(a, 25);
  c ^= b;
  c -= rotate(b, 16);
  a ^= c;
  a -= rotate(c, 4);
  b ^= a;
  b -= rotate(a, 14);
  c ^= b;
  c -= rotate(b, 24);
  return c;
}

}  // namespace reprise::container
