#include "ckpt/container/hdf5_heap.h"

#include "ckpt/base/error.h"
#include "ckpt/container/hdf5_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>

namespace reprise::container {

namespace {

unsigned bytes_for(std::uint64_t largest) {
  return static_cast<unsigned>(std::bit_width(largest) + 7) / 8;
}

// A version 2 B-tree: records of one size, in order.
class RecordIndex {
 public:
  RecordIndex(const Hdf5Image& image, std::uint64_t address, IndexKind kind,
              unsigned expected_bytes)
      : image_(image) {
    constexpr std::uint64_t kBytes = 38;
    compare_checksum(image.at(address, kBytes), address);
    ByteReader in = image.reader(address, kBytes);
    expect(in, "BTHD");
    in.take(1, "an index");
    if (in.number<std::uint8_t>("an index") != static_cast<unsigned>(kind))
      wrong(address, "an index of another kind than was expected");
    node_bytes_ = in.number<std::uint32_t>("an index");
    record_bytes_ = in.number<std::uint16_t>("an index");
    const unsigned depth = in.number<std::uint16_t>("an index");
    in.take(2, "an index");
    const auto root = in.number<std::uint64_t>("an index");
    const std::size_t records = in.number<std::uint16_t>("an index");
    if (record_bytes_ != expected_bytes || depth >= kDepthOfTrees ||
        node_bytes_ < 10 + record_bytes_) {
      wrong(address, "an index of impossible shape");
    }
    count_pointers(address, depth);
    if (records > 0) walk(root, depth, records);
  }

  const std::vector<Bytes>& records() const { return records_; }

 private:
  // As libhdf5 computes them: what fits a leaf, then what fits a node above it.
  void count_pointers(std::uint64_t address, unsigned depth) {
    std::uint64_t most = (node_bytes_ - 10) / record_bytes_;
    std::uint64_t total = most;
    const unsigned leaf_count_bytes = bytes_for(most);
    for (unsigned d = 1; d <= depth; ++d) {
      count_bytes_.push_back(leaf_count_bytes);
      total_bytes_.push_back(d > 1 ? bytes_for(total) : 0);
      const std::uint64_t pointer = 8 + leaf_count_bytes + total_bytes_.back();
      if (node_bytes_ < 10 + pointer + record_bytes_)
        wrong(address, "an index of impossible shape");
      most = (node_bytes_ - 10 - pointer) / (record_bytes_ + pointer);
      total = (most + 1) * total + most;
    }
  }

  void walk(std::uint64_t node, unsigned depth, std::size_t records) {
    ByteReader in = image_.reader(node, node_bytes_);
    expect(in, depth == 0 ? "BTLF" : "BTIN");
    in.take(2, "an index node");
    for (std::size_t i = 0; i < records; ++i)
      records_.push_back(in.take(record_bytes_, "a record"));
    for (std::size_t i = 0; depth > 0 && i <= records; ++i) {
      const auto child = in.number<std::uint64_t>("a child");
      const std::size_t count = take_sized(in, count_bytes_[depth], "a child");
      in.take(total_bytes_[depth], "a child");
      walk(child, depth - 1, count);
    }
  }

  const Hdf5Image& image_;
  std::uint64_t node_bytes_ = 0;
  unsigned record_bytes_ = 0;
  // Bytes that count the records of a child, and of all below it, per depth of the node.
  std::vector<unsigned> count_bytes_ = {0}, total_bytes_ = {0};
  std::vector<Bytes> records_;
};

class FractalHeap {
 public:
  FractalHeap(const Hdf5Image& image, std::uint64_t address) : image_(image), address_(address) {
    constexpr std::uint64_t kBytes = 146;
    compare_checksum(image.at(address, kBytes), address);
    ByteReader in = image.reader(address, kBytes);
    expect(in, "FRHP");
    in.take(1, "a heap");
    id_bytes_ = in.number<std::uint16_t>("a heap");
    if (in.number<std::uint16_t>("a heap") != 0) refuse("a filtered heap");
    in.take(1, "a heap");
    const std::uint64_t largest_object = in.number<std::uint32_t>("a heap");
    in.take(8, "a heap");
    huge_index_ = in.number<std::uint64_t>("a heap");
    in.take(80, "a heap");
    width_ = in.number<std::uint16_t>("a heap");
    start_block_ = in.number<std::uint64_t>("a heap");
    largest_direct_ = in.number<std::uint64_t>("a heap");
    const unsigned heap_bits = in.number<std::uint16_t>("a heap");
    in.take(2, "a heap");
    root_ = in.number<std::uint64_t>("a heap");
    rows_ = in.number<std::uint16_t>("a heap");
    offset_bytes_ = (heap_bits + 7) / 8;
    const bool powers = std::has_single_bit(start_block_) && std::has_single_bit(largest_direct_);
    if (!powers || width_ == 0 || heap_bits == 0 || heap_bits > 64 ||
        start_block_ > largest_direct_) {
      wrong(address, "a heap of impossible shape");
    }
    length_bytes_ = std::min(bytes_for(largest_direct_ - 1), bytes_for(largest_object));
    if (1 + offset_bytes_ + length_bytes_ > id_bytes_)
      wrong(address, "heap ids that are too short");
  }

  unsigned id_bytes() const { return id_bytes_; }

  Bytes object(Bytes id) {
    ByteReader in(id);
    const unsigned kind = in.number<std::uint8_t>("a heap id") >> 4 & 3;
    if (kind == 1) return huge_object(take_sized(in, std::min(id_bytes_ - 1, 8u), "a heap id"));
    if (kind != 0) refuse("an object inside its heap id");
    const std::uint64_t offset = take_sized(in, offset_bytes_, "a heap id");
    return managed_object(offset, take_sized(in, length_bytes_, "a heap id"));
  }

 private:
  // Walks the doubling table (specification III.G) down to the direct block of `offset`.
  Bytes managed_object(std::uint64_t offset, std::uint64_t length) const {
    std::uint64_t block = root_;
    if (rows_ == 0) return image_.at(block + offset, length);
    std::uint64_t within = offset;
    for (unsigned depth = 0; depth < kDepthOfTrees; ++depth) {
      // Rows 0 and 1 have blocks of the first size, each further row of twice the size before.
      std::uint64_t size = start_block_;
      unsigned row = 0;
      for (; row < 62; ++row) {
        if (row > 1) {
          if (size > (std::uint64_t{1} << 60) / width_)
            wrong(address_, "a heap offset beyond its table");
          size *= 2;
        }
        if (within < size * width_) break;
        within -= size * width_;
      }
      const std::uint64_t column = within / size;
      within %= size;
      ByteReader child = image_.reader(block + 13 + offset_bytes_ + (row * width_ + column) * 8, 8);
      block = child.number<std::uint64_t>("a heap block");
      if (block == Hdf5Image::kUndefined) wrong(address_, "a heap block that is not there");
      if (size <= largest_direct_) {
        if (within + length > size) wrong(address_, "a heap object beyond its block");
        return image_.at(block + within, length);
      }
    }
    wrong(address_, "a heap that is too deep");
  }

  // Objects over the largest that blocks hold lie by themselves, listed in an index of their own.
  Bytes huge_object(std::uint64_t id) {
    if (!huge_) {
      if (huge_index_ == Hdf5Image::kUndefined) wrong(address_, "no index of its large objects");
      huge_.emplace(image_, huge_index_, IndexKind::kHugeObjects, 24u);
    }
    const auto id_of = [](Bytes record) { return load_little<std::uint64_t>(record.data() + 16); };
    const auto& records = huge_->records();
    const auto found = std::ranges::lower_bound(records, id, {}, id_of);
    if (found == records.end() || id_of(*found) != id)
      wrong(address_, "a large object that its index does not list");
    return image_.at(load_little<std::uint64_t>(found->data()),
                     load_little<std::uint64_t>(found->data() + 8));
  }

  const Hdf5Image& image_;
  std::uint64_t address_;
  std::uint64_t root_ = 0, start_block_ = 0, largest_direct_ = 0, huge_index_ = 0;
  unsigned id_bytes_ = 0, width_ = 0, offset_bytes_ = 0, length_bytes_ = 0, rows_ = 0;
  std::optional<RecordIndex> huge_;
};

}  // namespace

std::vector<Bytes> read_heap_objects(const Hdf5Image& image, std::uint64_t heap,
                                     std::uint64_t index, IndexKind kind) {
  FractalHeap objects(image, heap);
  // Links: a hash, then the id. Attributes: the id, then flags, an order, a hash.
  const bool links = kind == IndexKind::kLinkNames;
  const unsigned id_at = links ? 4 : 0;
  const RecordIndex records(image, index, kind, objects.id_bytes() + (links ? 4 : 9));
  std::vector<Bytes> out;
  for (const Bytes record : records.records()) {
    const Bytes id = record.subspan(id_at, objects.id_bytes());
    if (!links && (std::to_integer<unsigned>(record[id.size()]) & 2) != 0)
      refuse("shared attributes");
    out.push_back(objects.object(id));
  }
  return out;
}

Bytes GlobalHeaps::object(std::uint64_t address, std::uint32_t number) {
  auto known = collections_.find(address);
  if (known == collections_.end()) known = collections_.emplace(address, read(address)).first;
  const auto found = std::ranges::lower_bound(known->second, number, {}, &Entry::number);
  if (found == known->second.end() || found->number != number)
    wrong(address, fmt::format("a global heap without object {}", number));
  return found->bytes;
}

std::vector<GlobalHeaps::Entry> GlobalHeaps::read(std::uint64_t address) const {
  constexpr std::uint64_t kHead = 16;  // of the collection, and of each object in it
  ByteReader head = image_.reader(address, kHead);
  expect(head, "GCOL");
  if (head.number<std::uint8_t>("a global heap") != 1) refuse("a global heap of unknown version");
  head.take(3, "a global heap");
  const auto size = head.number<std::uint64_t>("a global heap");
  if (size < kHead) wrong(address, "a global heap too short to be one");
  const Bytes whole = image_.at(address, size);
  ByteReader in(whole.subspan(kHead), address + kHead);
  std::vector<Entry> entries;
  while (in.remaining() >= kHead) {
    const std::uint32_t number = in.number<std::uint16_t>("an object's number");
    if (number == 0) break;  // the free space, which is last
    in.take(6, "an object");
    const auto length = in.number<std::uint64_t>("an object's length");
    entries.push_back({number, in.take(length, "an object of a global heap")});
    in.take(std::min(align_up(length, 8) - length, in.remaining()), "an object");
  }
  std::ranges::stable_sort(entries, {}, &Entry::number);
  return entries;
}

}  // namespace reprise::container
