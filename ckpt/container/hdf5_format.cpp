#include "ckpt/container/hdf5_format.h"

#include "ckpt/base/byte_reader.h"
#include "ckpt/base/error.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_set>

namespace reprise::container {

namespace {

constexpr std::uint64_t kDigestBytes = 32;
constexpr std::uint64_t kDigestAt = kFirstBlockBytes - kDigestBytes;
// Text attributes longer than this stay in the manifest only.
constexpr std::size_t kLongestAttribute = 1024;

void put_section(ByteWriter& out, const Section& section) {
  out.u64(section.offset_bytes).u64(section.size_bytes).bytes(section.sha256.bytes);
}

Digest take_digest(ByteReader& in) {
  Digest digest;
  const Bytes bytes = in.take(kDigestBytes, "a digest");
  std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
  return digest;
}

Section take_section(ByteReader& in) {
  Section section;
  section.offset_bytes = in.number<std::uint64_t>("a section");
  section.size_bytes = in.number<std::uint64_t>("a section");
  section.sha256 = take_digest(in);
  return section;
}

[[noreturn]] void damaged(std::string_view what) {
  fail(Code::kCorrupt, "byte 0: {}; the file is damaged: restore it or use an earlier checkpoint",
       what);
}

void check_sections(const FirstBlock& block) {
  std::uint64_t end = kFirstBlockBytes;
  for (const Section* section : {&block.structures, &block.table, &block.manifest}) {
    if (section->offset_bytes < end || section->offset_bytes - end >= kPage ||
        !fits(section->offset_bytes, section->size_bytes, block.file_bytes)) {
      damaged("the first block describes sections that do not lie behind one another in the file");
    }
    end = section->end();
  }
  if (block.structures.offset_bytes != kSuperblockOffset)
    damaged("the HDF5 part does not begin at byte 4096");
  if (block.data_offset != align_up(end, kPage) || block.data_offset > block.file_bytes ||
      block.file_bytes % kPage != 0) {
    damaged("the first block names impossible places for the tensors");
  }
}

}  // namespace

std::array<std::byte, kFirstBlockBytes> encode_first_block(const FirstBlock& block) {
  ByteWriter out;
  out.text(kMagic).u32(block.version).u32(block.minimum_reader).u64(block.required_features);
  out.u64(block.file_bytes).u64(block.data_offset);
  put_section(out, block.structures);
  put_section(out, block.table);
  put_section(out, block.manifest);
  out.u64(block.records).u64(block.extents).u64(block.chunks).u64(block.names_bytes);
  out.zeros(kDigestAt - out.position());
  const Digest digest = sha256(out.view());
  out.bytes(digest.bytes);
  std::array<std::byte, kFirstBlockBytes> bytes{};
  std::copy(out.view().begin(), out.view().end(), bytes.begin());
  return bytes;
}

FirstBlock decode_first_block(Bytes bytes, std::uint64_t file_bytes) {
  bytes = bytes.first(std::min<std::size_t>(bytes.size(), kFirstBlockBytes));
  // The block is written last: without it, the rest is as far as the writer came.
  if (std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{}; })) {
    fail(Code::kIncomplete,
         "the writer was stopped before it committed this file; use an earlier checkpoint");
  }
  if (bytes.size() < kFirstBlockBytes) {
    fail(Code::kCorrupt,
         "the file ends at byte {}, inside the first block of {}; it is truncated: restore it "
         "or use an earlier checkpoint",
         bytes.size(), kFirstBlockBytes);
  }
  if (as_text(bytes.first(kMagic.size())) != kMagic)
    damaged("the mark of a native checkpoint is damaged");
  Digest digest;
  std::copy(bytes.begin() + kDigestAt, bytes.end(), digest.bytes.begin());
  if (sha256(bytes.first(kDigestAt)) != digest) damaged("the digest of the first block differs");

  ByteReader in(bytes);
  in.seek(kMagic.size());
  FirstBlock block;
  block.version = in.number<std::uint32_t>("the version");
  block.minimum_reader = in.number<std::uint32_t>("the version");
  block.required_features = in.number<std::uint64_t>("the features");
  if (block.minimum_reader > kContainerVersion) {
    fail(Code::kUnsupported,
         "container version {} needs a reader of version {}, this is version {}; use a newer "
         "version of this suite",
         block.version, block.minimum_reader, kContainerVersion);
  }
  if ((block.required_features & ~kKnownFeatures) != 0) {
    fail(Code::kUnsupported,
         "the file needs the features {:#x}, of which this version knows {:#x}; use a newer "
         "version of this suite",
         block.required_features, kKnownFeatures);
  }
  block.file_bytes = in.number<std::uint64_t>("the file's size");
  block.data_offset = in.number<std::uint64_t>("the data's place");
  block.structures = take_section(in);
  block.table = take_section(in);
  block.manifest = take_section(in);
  block.records = in.number<std::uint64_t>("a count");
  block.extents = in.number<std::uint64_t>("a count");
  block.chunks = in.number<std::uint64_t>("a count");
  block.names_bytes = in.number<std::uint64_t>("a count");
  if (block.file_bytes != file_bytes) {
    fail(Code::kCorrupt,
         "the file has {} bytes, {} were written; it is {}: restore it or use an earlier "
         "checkpoint",
         file_bytes, block.file_bytes, file_bytes < block.file_bytes ? "truncated" : "damaged");
  }
  check_sections(block);
  return block;
}

std::vector<std::byte> encode_table(const TensorTable& table, FirstBlock& block) {
  ByteWriter records;
  ByteWriter shapes;
  ByteWriter names;
  for (const auto& [entry, chunk_at, chunks] : table.rows) {
    records.u32(names.position()).u32(entry.name.size()).u32(shapes.position() / 8);
    records.u16(entry.shape.size()).u16(0).u64(entry.offset_bytes).u64(entry.size_bytes);
    records.u32(chunk_at).u32(chunks);
    std::array<std::byte, 16> dtype{};
    std::memcpy(dtype.data(), name(entry.dtype).data(), name(entry.dtype).size());
    records.bytes(dtype).bytes(entry.sha256.bytes);
    for (const std::int64_t extent : entry.shape) shapes.number(extent);
    names.text(entry.name);
  }
  block.records = table.rows.size();
  block.extents = shapes.position() / 8;
  block.chunks = table.chunks.size();
  block.names_bytes = names.position();
  ByteWriter out;
  out.bytes(records.view()).bytes(shapes.view());
  for (const Digest& digest : table.chunks) out.bytes(digest.bytes);
  out.bytes(names.view());
  if (out.position() > std::numeric_limits<std::uint32_t>::max()) {
    fail(Code::kUnsupported, "a tensor table of {} bytes", out.position());
  }
  return out.take();
}

namespace {

class TableReader {
 public:
  TableReader(Bytes bytes, const FirstBlock& block) : block_(block), records_(bytes) {
    // Counts come from the file: no product of theirs may overflow.
    const auto records = checked_multiply<std::uint64_t>(block.records, kTensorRecordBytes);
    const auto shapes = checked_multiply<std::uint64_t>(block.extents, 8);
    const auto chunks = checked_multiply<std::uint64_t>(block.chunks, kDigestBytes);
    auto sum = records && shapes ? checked_add(*records, *shapes) : std::nullopt;
    sum = sum && chunks ? checked_add(*sum, *chunks) : std::nullopt;
    sum = sum ? checked_add(*sum, block.names_bytes) : std::nullopt;
    if (!sum || *sum != bytes.size())
      damaged("the counts of the tensor table do not add up to its size");
    records_ = bytes.first(*records);
    shapes_ = bytes.subspan(*records, *shapes);
    chunks_ = bytes.subspan(*records + *shapes, *chunks);
    names_ = bytes.subspan(*records + *shapes + *chunks);
  }

  TensorTable read() {
    TensorTable table;
    ByteReader chunks(chunks_);
    table.chunks.reserve(block_.chunks);
    for (std::uint64_t i = 0; i < block_.chunks; ++i) table.chunks.push_back(take_digest(chunks));
    table.rows.reserve(block_.records);
    for (std::uint64_t i = 0; i < block_.records; ++i) {
      table.rows.push_back(
          read_row(records_.subspan(i * kTensorRecordBytes, kTensorRecordBytes), i));
    }
    check_names(table);
    check_extents(table);
    return table;
  }

 private:
  [[noreturn]] static void wrong(const TensorEntry& entry, std::string_view what) {
    fail(Code::kCorrupt,
         "tensor {} at byte {}: {}; the file was not written by this suite or is damaged",
         printable(entry.name), entry.offset_bytes, what);
  }

  TensorTable::Row read_row(Bytes bytes, std::uint64_t number) const {
    ByteReader in(bytes);
    const auto name_at = in.number<std::uint32_t>("a name");
    const auto name_length = in.number<std::uint32_t>("a name");
    const auto shape_at = in.number<std::uint32_t>("a shape");
    const auto rank = in.number<std::uint16_t>("a rank");
    const auto flags = in.number<std::uint16_t>("flags");
    TensorTable::Row row;
    TensorEntry& entry = row.entry;
    entry.offset_bytes = in.number<std::uint64_t>("an offset");
    entry.size_bytes = in.number<std::uint64_t>("a size");
    row.chunk_at = in.number<std::uint32_t>("chunks");
    row.chunks = in.number<std::uint32_t>("chunks");
    std::string_view dtype = as_text(in.take(16, "a dtype"));
    entry.sha256 = take_digest(in);

    if (!fits(name_at, name_length, names_.size()) || name_length == 0) {
      fail(Code::kCorrupt, "tensor number {}: its name lies outside the table; the file is damaged",
           number);
    }
    entry.name = as_text(names_.subspan(name_at, name_length));
    if (!fits(shape_at, rank, block_.extents)) wrong(entry, "its shape lies outside the table");
    if (flags != 0) {
      fail(Code::kUnsupported,
           "tensor {}: flags {:#x}, which this version does not know; use a newer version of "
           "this suite",
           printable(entry.name), flags);
    }
    dtype = dtype.substr(0, dtype.find('\0'));
    const auto known = dtype_from_name(dtype);
    if (!known) {
      fail(Code::kUnsupported,
           "tensor {}: element type '{}', which this version does not know; use a newer "
           "version of this suite",
           printable(entry.name), printable(dtype, 40));
    }
    entry.dtype = *known;
    entry.shape.resize(rank);
    for (std::size_t d = 0; d < rank; ++d) {
      entry.shape[d] = load_little<std::int64_t>(shapes_.data() + (shape_at + d) * 8);
    }
    check_row(row);
    return row;
  }

  void check_row(const TensorTable::Row& row) const {
    const TensorEntry& entry = row.entry;
    std::int64_t elements = 0;
    try {
      elements = count_elements(entry.shape);
    } catch (const Error& error) {
      throw error.at(fmt::format("tensor {}", printable(entry.name)));
    }
    const auto size = checked_multiply<std::uint64_t>(static_cast<std::uint64_t>(elements),
                                                      item_size(entry.dtype));
    if (!size || *size != entry.size_bytes) {
      wrong(entry, fmt::format("{} bytes, which is not {} elements of {}", entry.size_bytes,
                               elements, name(entry.dtype)));
    }
    if (entry.offset_bytes < block_.data_offset ||
        !fits(entry.offset_bytes, entry.size_bytes, block_.file_bytes)) {
      wrong(entry, fmt::format("{} bytes do not lie between byte {} and the end of the file at {}",
                               entry.size_bytes, block_.data_offset, block_.file_bytes));
    }
    if (entry.offset_bytes % kSmallAlignment != 0)
      wrong(entry, "its place is not a multiple of 64");
    if (row.chunks != chunk_count(entry.size_bytes) ||
        !fits(row.chunk_at, row.chunks, block_.chunks)) {
      wrong(entry, "its chunk digests are not those of its size");
    }
  }

  static void check_names(const TensorTable& table) {
    std::unordered_set<std::string_view> names;
    names.reserve(table.rows.size());
    for (const auto& row : table.rows) {
      if (!names.insert(row.entry.name).second)
        wrong(row.entry, "another tensor has the same name");
    }
  }

  static void check_extents(const TensorTable& table) {
    std::vector<const TensorEntry*> order;
    order.reserve(table.rows.size());
    for (const auto& row : table.rows) {
      if (row.entry.size_bytes > 0) order.push_back(&row.entry);
    }
    std::stable_sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
      return a->offset_bytes < b->offset_bytes;
    });
    for (std::size_t i = 1; i < order.size(); ++i) {
      const TensorEntry& a = *order[i - 1];
      const TensorEntry& b = *order[i];
      if (a.offset_bytes + a.size_bytes <= b.offset_bytes) continue;
      const bool tied = a.offset_bytes == b.offset_bytes && a.dtype == b.dtype &&
                        a.shape == b.shape && a.sha256 == b.sha256;
      if (!tied) wrong(b, fmt::format("it overlaps {}", printable(a.name)));
    }
  }

  const FirstBlock& block_;
  Bytes records_, shapes_, chunks_, names_;
};

}  // namespace

TensorTable decode_table(Bytes bytes, const FirstBlock& block) {
  return TableReader(bytes, block).read();
}

std::vector<Dataset> list_datasets(const FirstBlock& block, const TensorTable& table,
                                   std::vector<Shape>& shapes) {
  const auto count = [](std::uint64_t n) { return Shape{static_cast<std::int64_t>(n)}; };
  shapes = {count(block.records), count(block.extents), count(block.chunks),
            count(block.names_bytes), count(block.manifest.size_bytes)};
  std::vector<Dataset> datasets;
  datasets.reserve(table.rows.size() + shapes.size());
  std::uint64_t at = block.table.offset_bytes;
  const auto add = [&](std::string_view name, TableType type, std::size_t shape,
                       std::uint64_t size) {
    datasets.push_back({name, type, shapes[shape], at, size, -1});
    at += size;
  };
  add("reprise/tensors", TableType::kTensorRecord, 0, block.records * kTensorRecordBytes);
  add("reprise/shapes", TableType::kUInt64, 1, block.extents * 8);
  add("reprise/digests", TableType::kDigest, 2, block.chunks * kDigestBytes);
  add("reprise/names", TableType::kBytes, 3, block.names_bytes);
  at = block.manifest.offset_bytes;
  add("reprise/manifest", TableType::kBytes, 4, block.manifest.size_bytes);

  // Ties are seen in the extents alone, so that a reader sees the same ones.
  std::map<std::uint64_t, std::int64_t> first_at;
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const TensorEntry& entry = table.rows[i].entry;
    std::int64_t tied = -1;
    if (entry.size_bytes > 0) {
      tied = first_at.try_emplace(entry.offset_bytes, static_cast<std::int64_t>(i)).first->second;
    }
    datasets.push_back(
        {entry.name, entry.dtype, entry.shape, entry.offset_bytes, entry.size_bytes, tied});
  }
  return datasets;
}

std::vector<Attribute> root_attributes(Value root) {
  std::vector<Attribute> attributes;
  const DictNode* dict = root.if_dict();
  if (dict == nullptr) return attributes;
  std::unordered_set<std::string> used;
  for (const auto& [key, value] : dict->entries) {
    if (!key.is_string()) continue;
    Attribute attribute{escape_component(key.as_string()), std::int64_t{0}};
    if (const auto flag = value.if_bool())
      attribute.value = std::int64_t{*flag};
    else if (const auto integer = value.if_int())
      attribute.value = *integer;
    else if (value.kind() == Kind::kFloat)
      attribute.value = value.as_float();
    else if (value.is_string() && value.as_string().size() <= kLongestAttribute)
      attribute.value = std::string(value.as_string());
    else
      continue;
    if (used.insert(attribute.name).second) attributes.push_back(std::move(attribute));
  }
  return attributes;
}

}  // namespace reprise::container
