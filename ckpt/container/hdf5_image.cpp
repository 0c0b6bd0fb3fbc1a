#include "ckpt/container/hdf5_image.h"

#include "ckpt/base/error.h"
#include "ckpt/container/hdf5_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace reprise::container {

namespace {

constexpr unsigned kDepthOfTrees = 16;

enum Message : unsigned {
  kLinkInfo = 0x02,
  kLink = 0x06,
  kContinuation = 0x10,
  kSymbolTable = 0x11
};

[[noreturn]] void wrong(std::uint64_t address, std::string_view what) {
  fail(Code::kCorrupt, "HDF5 address {}: {}; the file is damaged or hostile", address, what);
}

[[noreturn]] void refuse(std::string_view what) {
  fail(Code::kUnsupported, "HDF5: {}; rewrite the file without it, with h5repack or h5py", what);
}

void expect(ByteReader& in, std::string_view signature) {
  const std::uint64_t place = in.offset_bytes();
  if (as_text(in.take(signature.size(), signature)) != signature)
    wrong(place, fmt::format("'{}' was expected", signature));
}

std::uint64_t take_sized(ByteReader& in, unsigned bytes, std::string_view what) {
  std::uint64_t value = 0;
  const Bytes taken = in.take(bytes, what);
  for (unsigned i = 0; i < bytes; ++i) value |= std::to_integer<std::uint64_t>(taken[i]) << (8 * i);
  return value;
}

// Compares the checksum behind `body`, which ends `whole`.
void check_sum(Bytes whole, std::uint64_t address) {
  const Bytes body = whole.first(whole.size() - 4);
  if (load_little<std::uint32_t>(whole.data() + body.size()) != lookup3(body))
    wrong(address, "a checksum differs");
}

unsigned bytes_for(std::uint64_t largest) {
  return static_cast<unsigned>(std::bit_width(largest) + 7) / 8;
}

}  // namespace

struct Hdf5Image::Heap {
  std::uint64_t address = 0, root = 0, start_block = 0, largest_direct = 0;
  unsigned id_bytes = 0, width = 0, offset_bytes = 0, length_bytes = 0, rows = 0;
};

struct IndexShape {
  std::uint64_t node_bytes;
  unsigned record_bytes, id_at, id_bytes;
  // Bytes that count the records of a child, and of all below it, per depth of the node.
  std::vector<unsigned> count_bytes, total_bytes;
};

Hdf5Image::Hdf5Image(Bytes file, std::uint64_t superblock)
    : file_(file), budget_(8 * file.size() + (1u << 20)) {
  ByteReader in(file.subspan(superblock), superblock);
  in.take(8, "the signature");
  const auto version = in.number<std::uint8_t>("the superblock's version");
  if (version > 3) refuse(fmt::format("superblock version {}", version));
  const bool old = version < 2;
  if (old) in.take(4, "the superblock");
  const auto offsets = in.number<std::uint8_t>("the size of offsets");
  const auto lengths = in.number<std::uint8_t>("the size of lengths");
  if (offsets != 8 || lengths != 8)
    refuse(fmt::format("offsets of {} and lengths of {} bytes", offsets, lengths));
  in.take(old ? (version == 1 ? 13 : 9) : 1, "the superblock");
  base_ = in.number<std::uint64_t>("the base address");
  in.take(8, "the superblock");
  in.number<std::uint64_t>("the end of the file");
  if (old && in.number<std::uint64_t>("the driver") != kUndefined)
    refuse("a driver information block");
  if (old) in.take(8, "the root's name");
  root_ = in.number<std::uint64_t>("the root group");
  if (base_ > file.size()) wrong(superblock, "a base address beyond the end of the file");
  if (!old) check_sum(file.subspan(superblock, 48), superblock);
}

Bytes Hdf5Image::at(std::uint64_t address, std::uint64_t length) const {
  const auto place = checked_add(base_, address);
  if (!place || !fits(*place, length, file_.size()))
    wrong(address, fmt::format("{} bytes lie beyond the end", length));
  if (length + 1 > budget_) wrong(address, "structures refer to each other without end");
  budget_ -= length + 1;
  return file_.subspan(*place, length);
}

ByteReader Hdf5Image::reader(std::uint64_t address, std::uint64_t length) const {
  return ByteReader(at(address, length), base_ + address);
}

std::vector<Hdf5Image::Message> Hdf5Image::messages(std::uint64_t object) const {
  std::vector<Message> out;
  if (as_text(at(object, 4)) == "OHDR") {
    read_version2(object, out);
  } else {
    read_version1(object, out);
  }
  return out;
}

void Hdf5Image::read_version1(std::uint64_t object, std::vector<Message>& out) const {
  ByteReader in = reader(object, 16);
  if (in.number<std::uint8_t>("a version") != 1) wrong(object, "no object header");
  in.take(7, "an object header");
  std::vector<std::pair<std::uint64_t, std::uint64_t>> blocks = {
      {object + 16, in.number<std::uint32_t>("a size")}};
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    ByteReader block = reader(blocks[b].first, blocks[b].second);
    while (block.remaining() >= 8) {
      const auto type = block.number<std::uint16_t>("a message");
      const auto size = block.number<std::uint16_t>("a message");
      const auto flags = block.number<std::uint8_t>("a message");
      block.take(3, "a message");
      const Bytes body = block.take(size, "a message");
      if ((flags & 2) != 0) refuse("shared header messages (named types)");
      if (type == kContinuation) {
        ByteReader next(body);
        const auto address = next.number<std::uint64_t>("a continuation");
        blocks.emplace_back(address, next.number<std::uint64_t>("a continuation"));
      } else {
        out.push_back({type, body});
      }
    }
  }
}

void Hdf5Image::read_version2(std::uint64_t object, std::vector<Message>& out) const {
  ByteReader in = reader(object, 6);
  expect(in, "OHDR");
  if (in.number<std::uint8_t>("a version") != 2)
    wrong(object, "an object header of unknown version");
  const auto flags = in.number<std::uint8_t>("flags");
  const unsigned size_bytes = 1u << (flags & 3);
  std::uint64_t prefix = 6 + ((flags & 0x20) != 0 ? 16u : 0u) + ((flags & 0x10) != 0 ? 4u : 0u);
  ByteReader size_reader = reader(object + prefix, size_bytes);
  const std::uint64_t size = take_sized(size_reader, size_bytes, "a size");
  prefix += size_bytes;
  if (size > file_.size()) wrong(object, "an object header larger than the file");

  struct Block {
    std::uint64_t address, length, skip;
  };
  std::vector<Block> blocks = {{object, prefix + size + 4, prefix}};
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const auto [address, length, skip] = blocks[b];
    if (length < skip + 4) wrong(address, "a continuation too short to be one");
    const Bytes whole = at(address, length);
    check_sum(whole, address);
    if (b > 0 && as_text(whole.first(4)) != "OCHK") wrong(address, "'OCHK' was expected");
    ByteReader block(whole.subspan(skip, length - skip - 4), base_ + address + skip);
    const std::uint64_t head = (flags & 4) != 0 ? 6 : 4;
    while (block.remaining() >= head) {
      const auto type = block.number<std::uint8_t>("a message");
      const auto body_bytes = block.number<std::uint16_t>("a message");
      const auto message_flags = block.number<std::uint8_t>("a message");
      block.take(head - 4, "a message");
      const Bytes body = block.take(body_bytes, "a message");
      if ((message_flags & 2) != 0) refuse("shared header messages (named types)");
      if (type == kContinuation) {
        ByteReader next(body);
        const auto next_address = next.number<std::uint64_t>("a continuation");
        blocks.push_back({next_address, next.number<std::uint64_t>("a continuation"), 4});
      } else {
        out.push_back({type, body});
      }
    }
  }
}

Hdf5Image::Link Hdf5Image::read_link(Bytes message) const {
  ByteReader in(message);
  if (in.number<std::uint8_t>("a link's version") != 1) wrong(0, "a link of unknown version");
  const auto flags = in.number<std::uint8_t>("a link");
  const auto type = (flags & 8) != 0 ? in.number<std::uint8_t>("a link's type") : std::uint8_t{0};
  if ((flags & 4) != 0) in.take(8, "a link's order");
  if ((flags & 16) != 0) in.take(1, "a link's character set");
  const std::uint64_t length = take_sized(in, 1u << (flags & 3), "a link's name");
  Link link;
  link.name = as_text(in.take(length, "a link's name"));
  if (type == 1) refuse(fmt::format("the soft link '{}'", printable(link.name)));
  if (type == 64)
    refuse(
        fmt::format("the external link '{}', which leads to another file", printable(link.name)));
  if (type != 0) refuse(fmt::format("the user-defined link '{}'", printable(link.name)));
  link.object = in.number<std::uint64_t>("a link's target");
  return link;
}

std::vector<Hdf5Image::Link> Hdf5Image::links(const std::vector<Message>& messages) const {
  std::vector<Link> out;
  for (const Message& message : messages) {
    if (message.type == kLink) {
      out.push_back(read_link(message.body));
    } else if (message.type == kSymbolTable) {
      ByteReader in(message.body);
      const auto tree = in.number<std::uint64_t>("a symbol table");
      ByteReader heap = reader(in.number<std::uint64_t>("a local heap"), 32);
      expect(heap, "HEAP");
      heap.take(4, "a local heap");
      const auto size = heap.number<std::uint64_t>("a local heap");
      heap.take(8, "a local heap");
      walk_symbols(tree, at(heap.number<std::uint64_t>("a local heap"), size), 0, out);
    } else if (message.type == kLinkInfo) {
      ByteReader in(message.body);
      in.take(1, "a link info");
      if ((in.number<std::uint8_t>("a link info") & 1) != 0) in.take(8, "a link info");
      const auto heap_address = in.number<std::uint64_t>("a link heap");
      const auto index = in.number<std::uint64_t>("a link index");
      if (heap_address == kUndefined) continue;
      const Heap heap = read_heap(heap_address);
      ByteReader head = reader(index, 38);
      check_sum(at(index, 38), index);
      expect(head, "BTHD");
      head.take(1, "an index");
      if (head.number<std::uint8_t>("an index") != 5)
        wrong(index, "an index that is not one of names");
      const std::uint64_t node_bytes = head.number<std::uint32_t>("an index");
      const unsigned record_bytes = head.number<std::uint16_t>("an index");
      const unsigned depth = head.number<std::uint16_t>("an index");
      head.take(2, "an index");
      const auto root = head.number<std::uint64_t>("an index");
      const std::size_t records = head.number<std::uint16_t>("an index");
      if (record_bytes != 4 + heap.id_bytes || depth >= kDepthOfTrees ||
          node_bytes < 10 + record_bytes) {
        wrong(index, "an index of impossible shape");
      }
      IndexShape shape{node_bytes, record_bytes, 4, heap.id_bytes, {0}, {0}};
      // As libhdf5 computes them: what fits a leaf, then what fits a node above it.
      std::uint64_t most = (node_bytes - 10) / record_bytes;
      std::uint64_t total = most;
      const unsigned leaf_count_bytes = bytes_for(most);
      for (unsigned d = 1; d <= depth; ++d) {
        shape.count_bytes.push_back(leaf_count_bytes);
        shape.total_bytes.push_back(d > 1 ? bytes_for(total) : 0);
        const std::uint64_t pointer = 8 + leaf_count_bytes + shape.total_bytes.back();
        if (node_bytes < 10 + pointer + record_bytes) wrong(index, "an index of impossible shape");
        most = (node_bytes - 10 - pointer) / (record_bytes + pointer);
        total = (most + 1) * total + most;
      }
      if (records > 0) walk_index(root, depth, records, shape, heap, out);
    }
  }
  return out;
}

void Hdf5Image::walk_symbols(std::uint64_t node, Bytes names, unsigned depth,
                             std::vector<Link>& out) const {
  if (depth > kDepthOfTrees) wrong(node, "a group's tree is too deep");
  ByteReader in = reader(node, 8);
  const std::string_view signature = as_text(in.take(4, "a node"));
  if (signature == "TREE") {
    if (in.number<std::uint8_t>("a node") != 0) wrong(node, "a tree that is not a group's");
    in.take(1, "a node");
    const std::size_t entries = in.number<std::uint16_t>("a node");
    ByteReader children = reader(node + 24, 8 + entries * 16);
    children.take(8, "a key");
    for (std::size_t i = 0; i < entries; ++i) {
      walk_symbols(children.number<std::uint64_t>("a child"), names, depth + 1, out);
      children.take(8, "a key");
    }
    return;
  }
  if (signature != "SNOD") wrong(node, "'TREE' or 'SNOD' was expected");
  in.take(2, "a symbol node");
  const std::size_t symbols = in.number<std::uint16_t>("a symbol node");
  ByteReader entries = reader(node + 8, symbols * 40);
  for (std::size_t i = 0; i < symbols; ++i) {
    const auto name_at = entries.number<std::uint64_t>("a symbol");
    Link link;
    link.object = entries.number<std::uint64_t>("a symbol");
    const auto cache = entries.number<std::uint32_t>("a symbol");
    entries.take(20, "a symbol");
    if (name_at >= names.size()) wrong(node, "a name lies outside the heap");
    std::string_view name = as_text(names.subspan(name_at));
    const auto end = name.find('\0');
    if (end == std::string_view::npos) wrong(node, "a name without an end");
    link.name = name.substr(0, end);
    if (cache == 2) refuse(fmt::format("the soft link '{}'", printable(link.name)));
    out.push_back(std::move(link));
  }
}

void Hdf5Image::walk_index(std::uint64_t node, unsigned depth, std::size_t records,
                           const IndexShape& shape, const Heap& heap,
                           std::vector<Link>& out) const {
  ByteReader in = reader(node, shape.node_bytes);
  expect(in, depth == 0 ? "BTLF" : "BTIN");
  in.take(2, "an index node");
  for (std::size_t i = 0; i < records; ++i) {
    ByteReader record(in.take(shape.record_bytes, "a record"));
    record.take(shape.id_at, "a record");
    if ((record.number<std::uint8_t>("a heap id") & 0x30) != 0) refuse("a link of more than 4 KiB");
    const std::uint64_t offset = take_sized(record, heap.offset_bytes, "a heap id");
    const std::uint64_t length = take_sized(record, heap.length_bytes, "a heap id");
    out.push_back(read_link(heap_object(heap, offset, length)));
  }
  for (std::size_t i = 0; depth > 0 && i <= records; ++i) {
    const auto child = in.number<std::uint64_t>("a child");
    const std::size_t count = take_sized(in, shape.count_bytes[depth], "a child");
    in.take(shape.total_bytes[depth], "a child");
    walk_index(child, depth - 1, count, shape, heap, out);
  }
}

Hdf5Image::Heap Hdf5Image::read_heap(std::uint64_t address) const {
  constexpr std::uint64_t kBytes = 146;
  check_sum(at(address, kBytes), address);
  ByteReader in = reader(address, kBytes);
  expect(in, "FRHP");
  in.take(1, "a heap");
  Heap heap;
  heap.address = address;
  heap.id_bytes = in.number<std::uint16_t>("a heap");
  if (in.number<std::uint16_t>("a heap") != 0) refuse("a filtered link heap");
  in.take(1, "a heap");
  const std::uint64_t largest_object = in.number<std::uint32_t>("a heap");
  in.take(96, "a heap");
  heap.width = in.number<std::uint16_t>("a heap");
  heap.start_block = in.number<std::uint64_t>("a heap");
  heap.largest_direct = in.number<std::uint64_t>("a heap");
  const unsigned heap_bits = in.number<std::uint16_t>("a heap");
  in.take(2, "a heap");
  heap.root = in.number<std::uint64_t>("a heap");
  heap.rows = in.number<std::uint16_t>("a heap");
  heap.offset_bytes = (heap_bits + 7) / 8;
  const bool powers =
      std::has_single_bit(heap.start_block) && std::has_single_bit(heap.largest_direct);
  if (!powers || heap.width == 0 || heap_bits == 0 || heap_bits > 64 ||
      heap.start_block > heap.largest_direct) {
    wrong(address, "a heap of impossible shape");
  }
  heap.length_bytes = std::min(bytes_for(heap.largest_direct - 1), bytes_for(largest_object));
  if (1 + heap.offset_bytes + heap.length_bytes > heap.id_bytes)
    wrong(address, "heap ids that are too short");
  return heap;
}

// Walks the doubling table (specification III.G) down to the direct block of `offset`.
Bytes Hdf5Image::heap_object(const Heap& heap, std::uint64_t offset, std::uint64_t length) const {
  std::uint64_t block = heap.root;
  if (heap.rows == 0) return at(block + offset, length);
  std::uint64_t within = offset;
  for (unsigned depth = 0; depth < kDepthOfTrees; ++depth) {
    // Rows 0 and 1 have blocks of the first size, each further row of twice the size before.
    std::uint64_t size = heap.start_block;
    unsigned row = 0;
    for (; row < 62; ++row) {
      if (row > 1) {
        if (size > (std::uint64_t{1} << 60) / heap.width)
          wrong(heap.address, "a heap offset beyond its table");
        size *= 2;
      }
      if (within < size * heap.width) break;
      within -= size * heap.width;
    }
    const std::uint64_t column = within / size;
    within %= size;
    ByteReader child = reader(block + 13 + heap.offset_bytes + (row * heap.width + column) * 8, 8);
    block = child.number<std::uint64_t>("a heap block");
    if (block == kUndefined) wrong(heap.address, "a heap block that is not there");
    if (size <= heap.largest_direct) {
      if (within + length > size) wrong(heap.address, "a heap object beyond its block");
      return at(block + within, length);
    }
  }
  wrong(heap.address, "a heap that is too deep");
}

}  // namespace reprise::container
