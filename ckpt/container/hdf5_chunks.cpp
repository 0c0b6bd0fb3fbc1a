#include "ckpt/container/hdf5_chunks.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/deflate.h"

#include <algorithm>
#include <cstring>
#include <mutex>

namespace reprise::container {

namespace {

enum Filter : unsigned { kDeflate = 1, kShuffle = 2, kFletcher32 = 3 };

[[noreturn]] void wrong(std::string_view what) {
  fail(Code::kCorrupt, "HDF5 chunk: {}; the file is damaged or hostile", what);
}

// zlib (RFC 1950): two bytes of header, deflate, Adler-32.
std::vector<std::byte> inflate_zlib(Bytes stored, std::size_t size) {
  if (stored.size() < 6) wrong("a compressed chunk too short to be one");
  const auto head =
      std::to_integer<unsigned>(stored[0]) << 8 | std::to_integer<unsigned>(stored[1]);
  if ((head >> 8 & 15) != 8 || head % 31 != 0 || (head & 0x20) != 0) wrong("no zlib stream");
  std::vector<std::byte> out(size);
  inflate(stored.subspan(2, stored.size() - 6), out);
  std::uint32_t a = 1;
  std::uint32_t b = 0;
  for (const std::byte byte : out) {
    a = (a + std::to_integer<std::uint32_t>(byte)) % 65521;
    b = (b + a) % 65521;
  }
  const Bytes sum = stored.last(4);
  std::uint32_t expected = 0;
  for (const std::byte byte : sum) expected = expected << 8 | std::to_integer<std::uint32_t>(byte);
  if ((b << 16 | a) != expected) wrong("its Adler-32 differs");
  return out;
}

// HDF5's own form: big-endian 16-bit words, two sums modulo 65535.
std::uint32_t fletcher32(Bytes bytes) {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    const unsigned low = i + 1 < bytes.size() ? std::to_integer<unsigned>(bytes[i + 1]) : 0;
    first = (first + (std::to_integer<unsigned>(bytes[i]) << 8 | low)) % 65535;
    second = (second + first) % 65535;
  }
  return second << 16 | first;
}

std::vector<std::byte> unshuffle(Bytes in, std::size_t width) {
  const std::size_t count = width == 0 ? 0 : in.size() / width;
  std::vector<std::byte> out(in.begin(), in.end());  // what does not fill an element stays behind
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < width; ++j) out[i * width + j] = in[j * count + i];
  }
  return out;
}

class ChunkedStorage final : public Storage {
 public:
  ChunkedStorage(std::shared_ptr<const MappedFile> file, ChunkedDataset dataset)
      : file_(std::move(file)),
        dataset_(std::move(dataset)),
        size_(static_cast<std::uint64_t>(count_elements(dataset_.shape)) * dataset_.item_bytes) {}

  std::uint64_t size_bytes() const override { return size_; }
  void read(std::uint64_t offset, MutableBytes out) const override {
    const Bytes all = in_place();
    if (!out.empty()) std::memcpy(out.data(), all.data() + offset, out.size());
  }
  Bytes in_place() const override {
    std::call_once(made_, [&] { assemble(); });
    return bytes_;
  }

 private:
  void assemble() const {
    std::vector<std::byte> all(size_);
    std::uint64_t filled = 0;
    for (const Hdf5Chunk& chunk : dataset_.chunks) filled += place(chunk, decode(chunk), all);
    if (filled != size_) wrong("chunks are missing, or there twice");
    bytes_ = std::move(all);
  }

  std::vector<std::byte> decode(const Hdf5Chunk& chunk) const {
    std::size_t plain = dataset_.item_bytes;
    for (const std::uint64_t extent : dataset_.chunk_shape) plain *= extent;
    std::vector<std::byte> bytes(chunk.stored.begin(), chunk.stored.end());
    for (std::size_t i = dataset_.filters.size(); i-- > 0;) {
      if ((chunk.skipped_filters >> i & 1) != 0) continue;
      const Hdf5Filter& filter = dataset_.filters[i];
      if (filter.id == kDeflate) {
        // A checksum that was made before compressing is inside.
        const bool summed = std::any_of(dataset_.filters.begin(),
                                        dataset_.filters.begin() + static_cast<std::ptrdiff_t>(i),
                                        [](const Hdf5Filter& f) { return f.id == kFletcher32; });
        bytes = inflate_zlib(bytes, plain + (summed ? 4 : 0));
      } else if (filter.id == kShuffle) {
        bytes = unshuffle(bytes, filter.value);
      } else {
        if (bytes.size() < 4) wrong("no room for its checksum");
        std::uint32_t expected = load_little<std::uint32_t>(bytes.data() + bytes.size() - 4);
        // The library folds where we divide: it keeps 65535 where the remainder is 0.
        expected = (expected >> 16) % 65535 << 16 | (expected & 0xffff) % 65535;
        bytes.resize(bytes.size() - 4);
        if (fletcher32(bytes) != expected) wrong("its Fletcher-32 checksum differs");
      }
    }
    if (bytes.size() != plain)
      wrong(fmt::format("{} bytes, {} were expected", bytes.size(), plain));
    return bytes;
  }

  // Copies the part of a chunk that lies in the dataset, row by row. Returns its bytes.
  std::uint64_t place(const Hdf5Chunk& chunk, const std::vector<std::byte>& bytes,
                      std::vector<std::byte>& all) const {
    const std::size_t rank = dataset_.shape.size();
    std::vector<std::uint64_t> extent(rank);
    for (std::size_t d = 0; d < rank; ++d) {
      const auto whole = static_cast<std::uint64_t>(dataset_.shape[d]);
      if (chunk.origin[d] >= whole || chunk.origin[d] % dataset_.chunk_shape[d] != 0)
        wrong("it lies outside the dataset");
      extent[d] = std::min(dataset_.chunk_shape[d], whole - chunk.origin[d]);
    }
    const std::uint64_t row_bytes = extent[rank - 1] * dataset_.item_bytes;
    std::vector<std::uint64_t> index(rank, 0);
    std::uint64_t copied = 0;
    while (true) {
      std::uint64_t from = 0;
      std::uint64_t to = 0;
      for (std::size_t d = 0; d < rank; ++d) {
        from = from * dataset_.chunk_shape[d] + index[d];
        to = to * static_cast<std::uint64_t>(dataset_.shape[d]) + chunk.origin[d] + index[d];
      }
      std::memcpy(all.data() + to * dataset_.item_bytes, bytes.data() + from * dataset_.item_bytes,
                  row_bytes);
      copied += row_bytes;
      std::size_t d = rank - 1;
      while (d-- > 0) {
        if (++index[d] < extent[d]) break;
        index[d] = 0;
      }
      if (d == static_cast<std::size_t>(-1)) return copied;
    }
  }

  std::shared_ptr<const MappedFile> file_;
  ChunkedDataset dataset_;
  std::uint64_t size_;
  mutable std::once_flag made_;
  mutable std::vector<std::byte> bytes_;
};

void walk(const Hdf5Image& image, std::uint64_t node, std::size_t rank, unsigned depth,
          std::vector<Hdf5Chunk>& out) {
  if (depth > 16) wrong("an index that is too deep");
  ByteReader in = image.reader(node, 8);
  if (as_text(in.take(4, "a chunk index")) != "TREE" ||
      in.number<std::uint8_t>("a chunk index") != 1) {
    wrong("no chunk index where one was expected");
  }
  const auto level = in.number<std::uint8_t>("a chunk index");
  const std::size_t entries = in.number<std::uint16_t>("a chunk index");
  const std::size_t key_bytes = 8 + 8 * (rank + 1);
  ByteReader children = image.reader(node + 24, entries * (key_bytes + 8));
  for (std::size_t i = 0; i < entries; ++i) {
    Hdf5Chunk chunk;
    const auto size = children.number<std::uint32_t>("a chunk");
    chunk.skipped_filters = children.number<std::uint32_t>("a chunk");
    for (std::size_t d = 0; d < rank; ++d)
      chunk.origin.push_back(children.number<std::uint64_t>("a chunk"));
    children.take(8, "a chunk");
    const auto address = children.number<std::uint64_t>("a chunk");
    if (level > 0) {
      walk(image, address, rank, depth + 1, out);
    } else {
      chunk.stored = image.at(address, size);
      out.push_back(std::move(chunk));
    }
  }
}

}  // namespace

std::vector<Hdf5Filter> read_filters(Bytes message) {
  ByteReader in(message);
  const auto version = in.number<std::uint8_t>("filters");
  const auto count = in.number<std::uint8_t>("filters");
  if (version == 1) in.take(6, "filters");
  if (version != 1 && version != 2)
    fail(Code::kUnsupported, "HDF5: filters of version {}", version);
  std::vector<Hdf5Filter> filters;
  for (unsigned i = 0; i < count; ++i) {
    const unsigned id = in.number<std::uint16_t>("a filter");
    if (id != kDeflate && id != kShuffle && id != kFletcher32) {
      fail(Code::kUnsupported,
           "HDF5: filter {}, which is a plug-in or not supported; rewrite the file with "
           "h5repack -f GZIP=4",
           id);
    }
    std::uint64_t name_bytes = version == 1 ? in.number<std::uint16_t>("a filter") : 0u;
    name_bytes = align_up(name_bytes, 8);
    in.take(2, "a filter");
    const unsigned values = in.number<std::uint16_t>("a filter");
    in.take(name_bytes, "a filter");
    ByteReader client(in.take(std::uint64_t{values} * 4, "a filter"));
    if (version == 1 && values % 2 == 1) in.take(4, "a filter");
    filters.push_back({id, values > 0 ? client.number<std::uint32_t>("a filter") : 0});
  }
  return filters;
}

std::vector<Hdf5Chunk> read_chunk_index(const Hdf5Image& image, std::uint64_t tree,
                                        std::size_t rank) {
  std::vector<Hdf5Chunk> chunks;
  if (tree != Hdf5Image::kUndefined) walk(image, tree, rank, 0, chunks);
  return chunks;
}

std::shared_ptr<const Storage> chunked_storage(std::shared_ptr<const MappedFile> file,
                                               ChunkedDataset dataset) {
  return std::make_shared<ChunkedStorage>(std::move(file), std::move(dataset));
}

}  // namespace reprise::container
