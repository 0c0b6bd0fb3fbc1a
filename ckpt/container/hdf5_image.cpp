#include "ckpt/container/hdf5_image.h"

#include "ckpt/base/error.h"
#include "ckpt/container/hdf5_heap.h"
#include "ckpt/container/hdf5_parts.h"

#include <fmt/format.h>

namespace reprise::container {

namespace {

enum Message : unsigned {
  kLinkInfo = 0x02,
  kLink = 0x06,
  kContinuation = 0x10,
  kSymbolTable = 0x11
};

}  // namespace

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
  if (!old) compare_checksum(file.subspan(superblock, 48), superblock);
}

Bytes Hdf5Image::at(std::uint64_t address, std::uint64_t length) const {
  const auto place = checked_add(base_, address);
  if (!place || !fits(*place, length, file_.size()))
    wrong(address, fmt::format("{} bytes lie beyond the end", length));
  charge(address, length);
  return file_.subspan(*place, length);
}

void Hdf5Image::charge(std::uint64_t address, std::uint64_t length) const {
  if (length >= budget_) wrong(address, "structures refer to each other without end");
  budget_ -= length + 1;
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
    compare_checksum(whole, address);
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
  Link link{as_text(in.take(length, "a link's name")), 0};
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
      for (const Bytes object :
           read_heap_objects(*this, heap_address, index, IndexKind::kLinkNames)) {
        out.push_back(read_link(object));
      }
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
    const auto object = entries.number<std::uint64_t>("a symbol");
    const auto cache = entries.number<std::uint32_t>("a symbol");
    entries.take(20, "a symbol");
    if (name_at >= names.size()) wrong(node, "a name lies outside the heap");
    std::string_view name = as_text(names.subspan(name_at));
    const auto end = name.find('\0');
    if (end == std::string_view::npos) wrong(node, "a name without an end");
    name = name.substr(0, end);
    charge(node, end);  // many symbols may share one long name
    if (cache == 2) refuse(fmt::format("the soft link '{}'", printable(name)));
    out.push_back({name, object});
  }
}

}  // namespace reprise::container
