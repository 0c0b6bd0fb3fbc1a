#include "ckpt/container/zip_writer.h"

#include "ckpt/container/deflate.h"

namespace reprise::container {

namespace {

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kIn64 = 0xFFFFFFFF;
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kChunk = 4u << 20;

class Record {
 public:
  template <typename T>
  Record& put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Record& put_text(std::string_view text) {
    text_ += text;
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::uint32_t narrow(std::uint64_t value) {
  return static_cast<std::uint32_t>(std::min(value, kIn64));
}

// What a reader of headers needs beyond 32 bits.
std::string zip64_extra(bool sizes, std::uint64_t size, bool offset, std::uint64_t header_offset) {
  if (!sizes && !offset) return "";
  Record extra;
  extra.put<std::uint16_t>(1).put(static_cast<std::uint16_t>((sizes ? 16 : 0) + (offset ? 8 : 0)));
  if (sizes) extra.put(size).put(size);
  if (offset) extra.put(header_offset);
  return extra.text();
}

}  // namespace

std::uint64_t ZipWriter::data_offset(std::string_view name, std::uint64_t size_bytes) const {
  const std::uint64_t wide = size_bytes >= kIn64 ? 20 : 0;
  // At least the four bytes of the padding field's own header.
  return align_up(position_ + kLocalBytes + name.size() + wide + 4, kAlignment);
}

void ZipWriter::write_header(const Entry& entry, std::uint64_t data_offset) {
  const bool wide = entry.size_bytes >= kIn64;
  std::string extra = zip64_extra(wide, entry.size_bytes, false, 0);
  const std::uint64_t padding =
      data_offset - entry.header_offset - kLocalBytes - entry.name.size() - extra.size() - 4;
  Record pad;
  pad.put_text("FB").put(static_cast<std::uint16_t>(padding)).put_text(std::string(padding, 'Z'));
  extra += pad.text();
  Record header;
  header.put<std::uint32_t>(0x04034b50)
      .put<std::uint16_t>(wide ? 45 : 0)
      .put<std::uint16_t>(0x0800);
  header.put<std::uint16_t>(0).put<std::uint16_t>(0).put<std::uint16_t>(0).put(entry.crc32);
  header.put(wide ? narrow(kIn64) : narrow(entry.size_bytes))
      .put(wide ? narrow(kIn64) : narrow(entry.size_bytes));
  header.put(static_cast<std::uint16_t>(entry.name.size()))
      .put(static_cast<std::uint16_t>(extra.size()));
  header.put_text(entry.name).put_text(extra);
  file_.write(entry.header_offset, as_bytes(header.text()));
}

void ZipWriter::add(std::string_view name, Bytes content) {
  const std::uint64_t data = data_offset(name, content.size());
  const Entry entry = {std::string(name), position_, content.size(), crc32(content)};
  write_header(entry, data);
  file_.write(data, content);
  entries_.push_back(entry);
  position_ = data + content.size();
}

void ZipWriter::add(std::string_view name, const Tensor& content,
                    const std::function<void(std::uint64_t)>& on_bytes) {
  const std::uint64_t data = data_offset(name, content.size_bytes());
  Entry entry = {std::string(name), position_, content.size_bytes(), 0};
  std::uint64_t at = data;
  content.for_each_chunk(kChunk, [&](Bytes piece) {
    entry.crc32 = crc32(piece, entry.crc32);
    file_.write(at, piece);
    at += piece.size();
    if (on_bytes) on_bytes(piece.size());
  });
  write_header(entry, data);
  entries_.push_back(entry);
  position_ = data + entry.size_bytes;
}

std::uint64_t ZipWriter::finish() {
  Record directory;
  for (const Entry& entry : entries_) {
    const bool wide = entry.size_bytes >= kIn64, far = entry.header_offset >= kIn64;
    const std::string extra = zip64_extra(wide, entry.size_bytes, far, entry.header_offset);
    directory.put<std::uint32_t>(0x02014b50)
        .put<std::uint16_t>(0)
        .put<std::uint16_t>(wide || far ? 45 : 0);
    directory.put<std::uint16_t>(0x0800)
        .put<std::uint16_t>(0)
        .put<std::uint16_t>(0)
        .put<std::uint16_t>(0);
    directory.put(entry.crc32)
        .put(narrow(wide ? kIn64 : entry.size_bytes))
        .put(narrow(wide ? kIn64 : entry.size_bytes));
    directory.put(static_cast<std::uint16_t>(entry.name.size()))
        .put(static_cast<std::uint16_t>(extra.size()));
    directory.put<std::uint16_t>(0).put<std::uint16_t>(0).put<std::uint16_t>(0).put<std::uint32_t>(
        0);
    directory.put(narrow(entry.header_offset)).put_text(entry.name).put_text(extra);
  }
  const std::uint64_t start = position_, size = directory.text().size(), count = entries_.size();
  const std::uint64_t end = start + size;
  if (start >= kIn64 || size >= kIn64 || count >= 0xFFFF) {
    directory.put<std::uint32_t>(0x06064b50)
        .put<std::uint64_t>(44)
        .put<std::uint16_t>(45)
        .put<std::uint16_t>(45);
    directory.put<std::uint32_t>(0).put<std::uint32_t>(0).put(count).put(count).put(size).put(
        start);
    directory.put<std::uint32_t>(0x07064b50).put<std::uint32_t>(0).put(end).put<std::uint32_t>(1);
  }
  const auto few = static_cast<std::uint16_t>(std::min<std::uint64_t>(count, 0xFFFF));
  directory.put<std::uint32_t>(0x06054b50)
      .put<std::uint16_t>(0)
      .put<std::uint16_t>(0)
      .put(few)
      .put(few);
  directory.put(narrow(size)).put(narrow(start)).put<std::uint16_t>(0);
  file_.write(position_, as_bytes(directory.text()));
  return position_ + directory.text().size();
}

}  // namespace reprise::container
