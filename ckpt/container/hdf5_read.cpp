#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/sha256_many.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/hdf5_content.h"
#include "ckpt/container/manifest.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>

namespace reprise::container {

namespace {

// The tensor table grows with the number of tensors; a larger one is not ours.
constexpr std::uint64_t kTableLimit = 1u << 30;
constexpr std::size_t kReadBytes = 1u << 20;

std::vector<std::byte> read_section(const MappedFile& file, const Section& section,
                                    std::string_view what, std::uint64_t limit) {
  if (section.size_bytes > limit) {
    fail(Code::kCorrupt,
         "byte {}: {} of {} bytes, at most {} are allowed; the file is hostile or damaged",
         section.offset_bytes, what, section.size_bytes, limit);
  }
  std::vector<std::byte> bytes(section.size_bytes);
  file.read(section.offset_bytes, bytes);
  if (sha256(bytes) != section.sha256) {
    fail(Code::kCorrupt,
         "byte {}: the digest of {} ({} bytes) differs; the file is damaged: restore it or use an "
         "earlier checkpoint",
         section.offset_bytes, what, section.size_bytes);
  }
  return bytes;
}

// Checks the digests of its tensor when its bytes are first asked for.
class VerifiedStorage final : public Storage {
 public:
  VerifiedStorage(std::shared_ptr<const Hdf5Reader::Content> content, std::size_t tensor,
                  std::shared_ptr<const Storage> inner)
      : content_(std::move(content)), tensor_(tensor), inner_(std::move(inner)) {}

  std::uint64_t size_bytes() const override { return inner_->size_bytes(); }
  void read(std::uint64_t offset, MutableBytes out) const override {
    verify();
    inner_->read(offset, out);
  }
  Bytes in_place() const override {
    verify();
    return inner_->in_place();
  }
  void prepare(std::uint64_t offset, std::uint64_t length) const override {
    inner_->prepare(offset, length);
  }
  void release(std::uint64_t offset, std::uint64_t length) const override {
    inner_->release(offset, length);
  }

 private:
  void verify() const {
    std::call_once(verified_, [&] {
      for (std::uint64_t i = 0; i < content_->piece_count(tensor_); ++i) {
        const auto piece = content_->piece(tensor_, i);
        if (digest_range(content_->file->file(), piece.offset_bytes, piece.size_bytes) !=
            piece.expected) {
          throw Error(Code::kCorrupt, describe_damage(*content_, piece));
        }
      }
    });
  }

  std::shared_ptr<const Hdf5Reader::Content> content_;
  std::size_t tensor_;
  std::shared_ptr<const Storage> inner_;
  mutable std::once_flag verified_;
};

// Each thread digests several pieces at once, taking the next one as one ends.
void verify_mapped(const Hdf5Reader::Content& content, unsigned jobs) {
  auto pieces = content.pieces();
  // Largest first: what is left for the end is short.
  std::stable_sort(pieces.begin(), pieces.end(),
                   [](const auto& a, const auto& b) { return a.size_bytes > b.size_bytes; });
  std::atomic<std::size_t> taken{0};
  const auto next = [&]() -> std::optional<DigestJob> {
    const std::size_t i = taken.fetch_add(1, std::memory_order_relaxed);
    if (i >= pieces.size()) return std::nullopt;
    const Bytes bytes = content.file->bytes().subspan(pieces[i].offset_bytes, pieces[i].size_bytes);
    content.file->populate(pieces[i].offset_bytes, pieces[i].size_bytes);
    return DigestJob{i, bytes};
  };
  const auto done = [&](std::size_t i, const Digest& digest) {
    if (digest != pieces[i].expected)
      throw Error(Code::kCorrupt, describe_damage(content, pieces[i]));
  };
  const unsigned threads = jobs > 0 ? jobs : available_cores();
  parallel_for(threads, threads, [&](std::size_t) { sha256_many(next, done); });
}

}  // namespace

std::uint64_t Hdf5Reader::Content::piece_count(std::size_t tensor) const {
  const std::uint64_t size = tensors[tensor].size_bytes;
  return size == 0 ? 0 : std::max<std::uint64_t>(1, chunk_count(size));
}

Hdf5Reader::Content::Piece Hdf5Reader::Content::piece(std::size_t tensor,
                                                      std::uint64_t number) const {
  const TensorEntry& entry = tensors[tensor];
  if (chunk_count(entry.size_bytes) == 0)
    return {&entry, 0, entry.offset_bytes, entry.size_bytes, entry.sha256};
  const std::uint64_t from = number * kChunkBytes;
  return {&entry, number, entry.offset_bytes + from, std::min(kChunkBytes, entry.size_bytes - from),
          chunks[chunk_at[tensor] + number]};
}

std::vector<Hdf5Reader::Content::Piece> Hdf5Reader::Content::pieces() const {
  std::vector<std::pair<std::uint64_t, std::size_t>> order;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].size_bytes > 0) order.emplace_back(tensors[i].offset_bytes, i);
  }
  std::sort(order.begin(), order.end());
  std::vector<Piece> list;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && order[i].first == order[i - 1].first) continue;
    for (std::uint64_t n = 0; n < piece_count(order[i].second); ++n)
      list.push_back(piece(order[i].second, n));
  }
  return list;
}

TensorTable Hdf5Reader::Content::table() const {
  TensorTable table;
  table.chunks = chunks;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    table.rows.push_back(
        {tensors[i], chunk_at[i], static_cast<std::uint32_t>(chunk_count(tensors[i].size_bytes))});
  }
  return table;
}

std::string describe_damage(const Hdf5Reader::Content& content,
                            const Hdf5Reader::Content::Piece& piece) {
  return fmt::format(
      "{}: tensor {}: chunk {} at byte {} ({} bytes): digest differs; the file is damaged: restore "
      "it "
      "or use an earlier checkpoint",
      content.file->path().string(), printable(piece.tensor->name), piece.number,
      piece.offset_bytes, piece.size_bytes);
}

Digest digest_range(const File& file, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                    const std::function<void(std::uint64_t)>& on_bytes) {
  std::vector<std::byte> buffer(std::min<std::uint64_t>(kReadBytes, size_bytes));
  Sha256 hash;
  while (size_bytes > 0) {
    const MutableBytes piece =
        std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), size_bytes));
    file.read(offset_bytes, piece);
    hash.update(piece);
    if (on_bytes) on_bytes(piece.size());
    offset_bytes += piece.size();
    size_bytes -= piece.size();
  }
  return hash.finish();
}

Hdf5Reader::Hdf5Reader(std::shared_ptr<const Content> content) : content_(std::move(content)) {}

Hdf5Reader Hdf5Reader::open(const std::filesystem::path& path) {
  return open(MappedFile::open(path));
}

Hdf5Reader Hdf5Reader::open(std::shared_ptr<const MappedFile> mapped) {
  auto content = std::make_shared<Content>();
  content->file = std::move(mapped);
  const MappedFile& file = *content->file;
  const std::filesystem::path& path = file.path();
  try {
    const std::uint64_t size = content->file->bytes().size();
    std::vector<std::byte> first(std::min<std::uint64_t>(size, kFirstBlockBytes));
    file.read(0, first);
    content->block = decode_first_block(first, size);
    content->file_digest = sha256(first);
    TensorTable table = decode_table(
        read_section(file, content->block.table, "the tensor table", kTableLimit), content->block);
    content->tensors.reserve(table.rows.size());
    content->chunk_at.reserve(table.rows.size());
    for (auto& row : table.rows) {
      content->tensors.push_back(std::move(row.entry));
      content->chunk_at.push_back(row.chunk_at);
    }
    content->chunks = std::move(table.chunks);
  } catch (const Error& error) {
    throw std::string_view(error.what()).starts_with(path.string()) ? error
                                                                    : error.at(path.string());
  }
  return Hdf5Reader(std::move(content));
}

const std::filesystem::path& Hdf5Reader::path() const { return content_->file->path(); }
std::uint64_t Hdf5Reader::file_bytes() const { return content_->block.file_bytes; }
const Digest& Hdf5Reader::file_digest() const { return content_->file_digest; }
const std::vector<TensorEntry>& Hdf5Reader::tensors() const { return content_->tensors; }

const TensorEntry* Hdf5Reader::find(std::string_view name) const {
  for (const TensorEntry& entry : content_->tensors) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

std::string Hdf5Reader::manifest() const {
  try {
    const auto bytes =
        read_section(*content_->file, content_->block.manifest, "the manifest", kManifestLimit);
    return std::string(as_text(bytes));
  } catch (const Error& error) {
    throw error.at(path().string());
  }
}

Document Hdf5Reader::document(Verify verify, unsigned jobs) const {
  std::map<std::uint64_t, std::shared_ptr<const Storage>> storages;  // tied tensors share one
  std::vector<Tensor> tensors;
  tensors.reserve(content_->tensors.size());
  for (std::size_t i = 0; i < content_->tensors.size(); ++i) {
    const TensorEntry& entry = content_->tensors[i];
    std::shared_ptr<const Storage> storage;
    if (entry.size_bytes > 0) {
      auto& shared = storages[entry.offset_bytes];
      if (!shared) {
        shared = mapped_storage(content_->file, entry.offset_bytes, entry.size_bytes);
        if (verify == Verify::kTouched)
          shared = std::make_shared<VerifiedStorage>(content_, i, shared);
      }
      storage = shared;
    }
    tensors.push_back(Tensor::contiguous(entry.dtype, entry.shape, std::move(storage)));
  }
  Document document;
  document.path = path().string();
  document.container = "hdf5";
  const std::string json = manifest();
  try {
    document.root = decode_manifest(json, tensors, *document.arena);
  } catch (const Error& error) {
    throw error.at(path().string());
  }
  if (verify == Verify::kAll) verify_mapped(*content_, jobs);
  return document;
}

bool looks_native(Bytes first) {
  if (first.size() < kMagic.size()) return !first.empty() && kMagic.starts_with(as_text(first));
  int same = 0;
  for (std::size_t i = 0; i < kMagic.size(); ++i) same += static_cast<char>(first[i]) == kMagic[i];
  return same + 2 >= static_cast<int>(kMagic.size());
}

}  // namespace reprise::container
