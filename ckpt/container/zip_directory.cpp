// Layout: PKWARE APPNOTE 6.3.9, sections 4.3 and 4.5.
#include "ckpt/container/zip_directory.h"

#include "ckpt/base/byte_reader.h"
#include "ckpt/base/error.h"

#include <algorithm>
#include <optional>

namespace reprise::container {

namespace {

constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::uint32_t kCentralSignature = 0x02014b50;
constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kEnd64Signature = 0x06064b50;
constexpr std::uint32_t kEnd64LocatorSignature = 0x07064b50;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kEnd64LocatorBytes = 20;
constexpr std::size_t kCentralBytes = 46;
constexpr std::size_t kLocalBytes = 30;
constexpr std::uint64_t kUsualLocalBytes = 256;  // with its name and padding, as trainers write it
constexpr std::uint16_t kZip64Extra = 1;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;  // a size or offset that is in the ZIP64 extra field
constexpr std::uint16_t kEncrypted = 1u << 0;
constexpr std::uint16_t kHasDescriptor = 1u << 3;
constexpr std::uint16_t kPatched = 1u << 5;
constexpr std::uint16_t kStronglyEncrypted = 1u << 6;
constexpr std::uint16_t kMaskedHeaders = 1u << 13;
constexpr std::uint64_t kLargestRatio = 200;     // of content to stored bytes, over the archive
constexpr std::uint64_t kRatioSlack = 1u << 20;  // small entries may compress better

struct End {
  std::uint64_t central_offset, central_bytes, entries, offset;
};

// Place of the end record, whose comment must reach the end of the file.
std::optional<std::uint64_t> find_end(Bytes archive) {
  if (archive.size() < kEndBytes) return std::nullopt;
  const std::uint64_t last = archive.size() - kEndBytes;
  for (std::uint64_t back = 0; back <= std::min<std::uint64_t>(last, 0xFFFF); ++back) {
    const std::byte* p = archive.data() + (last - back);
    if (load_little<std::uint32_t>(p) == kEndSignature &&
        load_little<std::uint16_t>(p + 20) == back) {
      return last - back;
    }
  }
  return std::nullopt;
}

[[noreturn]] void corrupt(std::uint64_t offset, std::string_view what) {
  fail(Code::kCorrupt, "byte {}: {}; the archive is damaged or hostile", offset, what);
}

End read_end(Bytes archive) {
  const auto found = find_end(archive);
  if (!found)
    fail(Code::kCorrupt,
         "no end record of a ZIP archive; the file is truncated or something was appended");
  ByteReader reader(archive.subspan(*found), *found);
  reader.seek(4);
  const auto disk = reader.number<std::uint16_t>("disk");
  const auto central_disk = reader.number<std::uint16_t>("disk of the directory");
  const auto entries_here = reader.number<std::uint16_t>("entries");
  End end{};
  end.entries = reader.number<std::uint16_t>("entries");
  end.central_bytes = reader.number<std::uint32_t>("size of the directory");
  end.central_offset = reader.number<std::uint32_t>("offset of the directory");
  end.offset = *found;
  if (end.offset < kEnd64LocatorBytes ||
      load_little<std::uint32_t>(archive.data() + end.offset - kEnd64LocatorBytes) !=
          kEnd64LocatorSignature) {
    if (disk != 0 || central_disk != 0 || entries_here != end.entries) {
      fail(Code::kUnsupported, "byte {}: an archive on several disks", end.offset);
    }
    return end;
  }
  const std::uint64_t locator = end.offset - kEnd64LocatorBytes;
  const auto end64 = load_little<std::uint64_t>(archive.data() + locator + 8);
  if (!fits(end64, kEnd64Bytes, locator))
    corrupt(locator, "the ZIP64 end record is not where it should be");
  ByteReader wide(archive.subspan(end64, locator - end64), end64);
  const End narrow = end;
  if (wide.number<std::uint32_t>("signature") != kEnd64Signature)
    corrupt(end64, "no ZIP64 end record");
  const auto record_bytes = wide.number<std::uint64_t>("size of the ZIP64 end record");
  if (record_bytes != locator - end64 - 12) corrupt(end64, "a ZIP64 end record of the wrong size");
  wide.seek(16);
  if (wide.number<std::uint32_t>("disk") != 0 ||
      wide.number<std::uint32_t>("disk of the directory") != 0) {
    fail(Code::kUnsupported, "byte {}: an archive on several disks", end64);
  }
  wide.seek(32);
  end.entries = wide.number<std::uint64_t>("entries");
  end.central_bytes = wide.number<std::uint64_t>("size of the directory");
  end.central_offset = wide.number<std::uint64_t>("offset of the directory");
  end.offset = end64;
  const bool agree =
      (narrow.entries == 0xFFFF || narrow.entries == end.entries) &&
      (narrow.central_bytes == kIn64 || narrow.central_bytes == end.central_bytes) &&
      (narrow.central_offset == kIn64 || narrow.central_offset == end.central_offset);
  if (!agree) corrupt(end64, "the ZIP64 end record and the end record disagree");
  return end;
}

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.size() > 4096) return false;
  if (name.size() > 1 && name[1] == ':') return false;
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == '\\' || c == 0x7F) return false;
  }
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t slash = std::min(name.find('/', at), name.size());
    const std::string_view part = name.substr(at, slash - at);
    const bool directory = part.empty() && at == name.size();  // a name that ends in '/'
    if ((part.empty() && !directory) || part == "." || part == "..") return false;
    at = slash + 1;
  }
  return true;
}

// Replaces the fields that say "see the ZIP64 extra field" by what it holds.
void read_zip64(Bytes extra, std::uint64_t at, std::initializer_list<std::uint64_t*> fields) {
  if (std::ranges::none_of(fields, [](const std::uint64_t* f) { return *f == kIn64; })) return;
  ByteReader reader(extra, at);
  while (reader.remaining() >= 4) {
    const auto tag = reader.number<std::uint16_t>("extra field");
    const auto size = reader.number<std::uint16_t>("size of an extra field");
    const Bytes content = reader.take(size, "an extra field");
    if (tag != kZip64Extra) continue;
    ByteReader wide(content, at);
    for (std::uint64_t* field : fields) {
      if (*field == kIn64) *field = wide.number<std::uint64_t>("a ZIP64 size");
    }
    return;
  }
  corrupt(at, "a size of 4 GiB or more without its ZIP64 field");
}

struct Header {
  ZipEntry entry;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint64_t local_offset = 0;
};

Header read_central(ByteReader& reader) {
  const std::uint64_t at = reader.offset_bytes();
  const Bytes fixed = reader.take(kCentralBytes, "a directory entry");
  const std::byte* p = fixed.data();
  if (load_little<std::uint32_t>(p) != kCentralSignature) corrupt(at, "no directory entry");
  Header header;
  header.flags = load_little<std::uint16_t>(p + 8);
  header.method = load_little<std::uint16_t>(p + 10);
  header.entry.crc32 = load_little<std::uint32_t>(p + 16);
  header.entry.stored_bytes = load_little<std::uint32_t>(p + 20);
  header.entry.size_bytes = load_little<std::uint32_t>(p + 24);
  const auto name_bytes = load_little<std::uint16_t>(p + 28);
  const auto extra_bytes = load_little<std::uint16_t>(p + 30);
  const auto comment_bytes = load_little<std::uint16_t>(p + 32);
  header.local_offset = load_little<std::uint32_t>(p + 42);
  header.entry.name = as_text(reader.take(name_bytes, "a name"));
  const std::uint64_t extra_at = reader.offset_bytes();
  const Bytes extra = reader.take(extra_bytes, "an extra field");
  reader.take(comment_bytes, "a comment");
  read_zip64(extra, extra_at,
             {&header.entry.size_bytes, &header.entry.stored_bytes, &header.local_offset});
  if (!is_safe_name(header.entry.name)) {
    corrupt(at, fmt::format("the name '{}' does not stay inside the archive",
                            printable(header.entry.name)));
  }
  if ((header.flags & (kEncrypted | kStronglyEncrypted | kPatched | kMaskedHeaders)) != 0) {
    fail(Code::kUnsupported, "byte {}: '{}' is encrypted or patched", at,
         printable(header.entry.name));
  }
  if (header.method != 0 && header.method != 8) {
    fail(Code::kUnsupported,
         "byte {}: '{}' uses compression method {}; stored and deflate are read", at,
         printable(header.entry.name), header.method);
  }
  header.entry.deflated = header.method == 8;
  if (!header.entry.deflated && header.entry.stored_bytes != header.entry.size_bytes) {
    corrupt(at,
            fmt::format("'{}' is stored, but its two sizes differ", printable(header.entry.name)));
  }
  return header;
}

// Gives the bytes of one local header after the other. They are read past the mapping of a file:
// of headers between tensors each would fault in sixteen pages, which costs ten times as much.
class LocalHeaders {
 public:
  LocalHeaders(Bytes archive, const MappedFile* file) : archive_(archive), file_(file) {}

  // Valid until the next call.
  Bytes read(std::uint64_t at, std::uint64_t length) {
    if (file_ == nullptr) return archive_.subspan(at, length);
    buffer_.resize(length);
    file_->read(at, buffer_);
    return buffer_;
  }

 private:
  Bytes archive_;
  const MappedFile* file_;
  std::vector<std::byte> buffer_;
};

// Fills in where the data is; both headers must tell the same story.
void read_local(LocalHeaders& headers, std::uint64_t limit, Header& header) {
  const std::uint64_t at = header.local_offset;
  if (!fits(at, kLocalBytes, limit)) corrupt(at, "a local header outside the archive");
  Bytes bytes = headers.read(at, std::min(kUsualLocalBytes, limit - at));
  const std::byte* p = bytes.data();
  const auto name_bytes = load_little<std::uint16_t>(p + 26);
  const auto extra_bytes = load_little<std::uint16_t>(p + 28);
  const std::uint64_t head_bytes = kLocalBytes + name_bytes + extra_bytes;
  if (load_little<std::uint32_t>(p) != kLocalSignature || !fits(at, head_bytes, limit)) {
    corrupt(at, "no local header");
  }
  if (head_bytes > bytes.size()) {
    bytes = headers.read(at, head_bytes);
    p = bytes.data();
  }
  const auto flags = load_little<std::uint16_t>(p + 6);
  std::uint64_t stored_bytes = load_little<std::uint32_t>(p + 18);
  std::uint64_t size_bytes = load_little<std::uint32_t>(p + 22);
  const auto crc = load_little<std::uint32_t>(p + 14);
  const Bytes extra = bytes.subspan(kLocalBytes + name_bytes, extra_bytes);
  // With a descriptor behind the data, the header may leave these three at zero.
  const bool later = (flags & kHasDescriptor) != 0;
  const bool left_out = later && stored_bytes == 0 && size_bytes == 0 && crc == 0;
  if (!left_out && !(later && (stored_bytes == kIn64 || size_bytes == kIn64))) {
    read_zip64(extra, at, {&size_bytes, &stored_bytes});
  }
  const bool sizes_agree = left_out || (later && (stored_bytes == kIn64 || size_bytes == kIn64)) ||
                           (stored_bytes == header.entry.stored_bytes &&
                            size_bytes == header.entry.size_bytes && crc == header.entry.crc32);
  const std::string_view name = as_text(bytes.subspan(kLocalBytes, name_bytes));
  if (name != header.entry.name || load_little<std::uint16_t>(p + 8) != header.method ||
      flags != header.flags || !sizes_agree) {
    corrupt(at, fmt::format("the local header and the directory disagree about '{}'",
                            printable(header.entry.name)));
  }
  header.entry.offset_bytes = at + head_bytes;
  if (!fits(header.entry.offset_bytes, header.entry.stored_bytes, limit)) {
    corrupt(at, fmt::format("the data of '{}' reaches beyond the archive",
                            printable(header.entry.name)));
  }
}

ByteReader central_directory(Bytes archive, const End& end) {
  if (end.central_offset > end.offset || end.central_bytes != end.offset - end.central_offset) {
    corrupt(end.offset, "the directory does not lie in front of the end record");
  }
  if (end.entries > end.central_bytes / kCentralBytes)
    corrupt(end.offset, "more entries than the directory has room for");
  return ByteReader(archive.subspan(end.central_offset, end.central_bytes), end.central_offset);
}

}  // namespace

bool ZipDirectory::lists(Bytes archive, std::string_view ending) {
  const End end = read_end(archive);
  ByteReader reader = central_directory(archive, end);
  for (std::uint64_t i = 0; i < end.entries; ++i) {
    if (read_central(reader).entry.name.ends_with(ending)) return true;
  }
  return false;
}

ZipDirectory ZipDirectory::read(Bytes archive) { return read(archive, nullptr); }

ZipDirectory ZipDirectory::read(const MappedFile& archive) {
  return read(archive.bytes(), &archive);
}

ZipDirectory ZipDirectory::read(Bytes archive, const MappedFile* file) {
  const End end = read_end(archive);
  ByteReader reader = central_directory(archive, end);
  std::vector<Header> headers;
  headers.reserve(end.entries);
  LocalHeaders local_headers(archive, file);
  for (std::uint64_t i = 0; i < end.entries; ++i) {
    headers.push_back(read_central(reader));
    read_local(local_headers, end.central_offset, headers.back());
  }
  if (!reader.at_end()) corrupt(reader.offset_bytes(), "the directory holds more than its entries");

  std::ranges::sort(headers, {}, &Header::local_offset);
  ZipDirectory directory;
  std::uint64_t free_from = 0;
  std::uint64_t stored = 0;
  std::uint64_t content = 0;
  for (const Header& header : headers) {
    if (header.local_offset < free_from || (free_from == 0 && header.local_offset != 0)) {
      corrupt(header.local_offset, free_from == 0 ? "something lies in front of the archive"
                                                  : "two entries share bytes of the archive");
    }
    free_from = header.entry.offset_bytes + header.entry.stored_bytes;
    stored += header.entry.stored_bytes;
    const auto sum = checked_add(content, header.entry.size_bytes);
    if (!sum) corrupt(header.local_offset, "sizes that overflow");
    content = *sum;
    if (!directory.by_name_.emplace(header.entry.name, directory.entries_.size()).second) {
      corrupt(header.local_offset, fmt::format("'{}' occurs twice", printable(header.entry.name)));
    }
    directory.entries_.push_back(header.entry);
  }
  if (content > kRatioSlack && (content - kRatioSlack) / kLargestRatio > stored) {
    corrupt(end.offset,
            fmt::format("{} stored bytes claim to hold {}: a decompression bomb", stored, content));
  }
  return directory;
}

const ZipEntry* ZipDirectory::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &entries_[found->second];
}

bool ends_like_zip(Bytes file) { return find_end(file).has_value(); }

}  // namespace reprise::container
