#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/hdf5_content.h"
#include "ckpt/container/manifest.h"

#include <algorithm>
#include <atomic>
#include <mutex>

namespace reprise::container {

namespace {

// Reads every byte of the file exactly once and notes what is wrong.
class Verification {
 public:
  Verification(const Hdf5Reader& reader, const Hdf5Reader::Content& content, unsigned jobs,
               const std::function<void(std::uint64_t)>& on_bytes)
      : reader_(reader), content_(content), jobs_(jobs), on_bytes_(on_bytes) {}

  VerifyReport run() {
    // The first block and the table were checked when the file was opened.
    count(content_.block.table.size_bytes + kFirstBlockBytes);
    structures_and_manifest();
    tensors();
    padding();
    std::stable_sort(
        report_.problems.begin(), report_.problems.end(),
        [](const Problem& a, const Problem& b) { return a.offset_bytes < b.offset_bytes; });
    report_.bytes_read = bytes_read_;
    report_.has_digests = true;
    return std::move(report_);
  }

 private:
  void count(std::uint64_t bytes) {
    bytes_read_ += bytes;
    if (on_bytes_) on_bytes_(bytes);
  }

  void note(Code code, std::uint64_t offset, std::string message, std::string tensor = {}) {
    const std::lock_guard lock(mutex_);
    report_.problems.push_back({code, std::move(tensor), offset, std::move(message)});
  }

  std::string at(std::uint64_t offset, std::string_view what) const {
    return fmt::format(
        "{}: byte {}: {}; the file is damaged: restore it or use an earlier checkpoint",
        reader_.path().string(), offset, what);
  }

  void structures_and_manifest() {
    const Section& section = content_.block.structures;
    const Digest found =
        digest_range(content_.file->file(), section.offset_bytes, section.size_bytes);
    count(section.size_bytes);
    if (found != section.sha256) {
      note(Code::kCorrupt, section.offset_bytes,
           at(section.offset_bytes, "the digest of the HDF5 structures differs"));
    }
    count(content_.block.manifest.size_bytes);
    try {
      const Document document = reader_.document();
      same_story(document);
      if (found == section.sha256) same_structures(document);
    } catch (const Error& error) {
      if (error.code() == Code::kIo) throw;
      note(error.code(), content_.block.manifest.offset_bytes, error.what());
    }
  }

  // Writing the document again must give the manifest and the names in the table: nothing
  // is in one that is not in the other.
  void same_story(const Document& document) {
    const EncodedDocument again = encode_manifest(document.root);
    bool same = again.tensors.size() == content_.tensors.size() && again.json == reader_.manifest();
    for (std::size_t i = 0; same && i < again.tensors.size(); ++i) {
      same = again.tensors[i].name == content_.tensors[i].name;
    }
    if (!same) {
      note(Code::kCorrupt, content_.block.manifest.offset_bytes,
           at(content_.block.manifest.offset_bytes,
              "manifest and tensor table do not say the same"));
    }
  }

  // What HDF5 tools see must be what the table says.
  void same_structures(const Document& document) {
    const Section& section = content_.block.structures;
    const TensorTable table = content_.table();
    std::vector<Shape> shapes;
    const auto expected = encode_hdf5(list_datasets(content_.block, table, shapes),
                                      root_attributes(document.root), content_.block.file_bytes);
    if (expected.size() == section.size_bytes) {
      std::vector<std::byte> found(section.size_bytes);
      content_.file->file().read(section.offset_bytes, found);
      if (found == expected) return;
    }
    note(Code::kCorrupt, section.offset_bytes,
         at(section.offset_bytes, "the HDF5 structures do not say what the tensor table says"));
  }

  void tensors() {
    const auto pieces = content_.pieces();
    parallel_for(pieces.size(), jobs_, [&](std::size_t i) { check(pieces[i]); });
    whole_digests();
  }

  void check(const Hdf5Reader::Content::Piece& piece) {
    const auto found = digest_range(content_.file->file(), piece.offset_bytes, piece.size_bytes,
                                    [&](std::uint64_t bytes) { count(bytes); });
    if (found != piece.expected) {
      note(Code::kCorrupt, piece.offset_bytes, describe_damage(content_, piece),
           piece.tensor->name);
    }
  }

  // A tensor with chunks has a digest of its own besides: it must be true as well.
  void whole_digests() {
    std::vector<const TensorEntry*> large;
    for (const TensorEntry& entry : content_.tensors) {
      if (chunk_count(entry.size_bytes) > 0) large.push_back(&entry);
    }
    parallel_for(large.size(), jobs_, [&](std::size_t i) {
      const TensorEntry& entry = *large[i];
      if (digest_range(content_.file->file(), entry.offset_bytes, entry.size_bytes) == entry.sha256)
        return;
      note(Code::kCorrupt, entry.offset_bytes,
           fmt::format("{}: tensor {} at byte {}: the digest of all its values differs; the file "
                       "is damaged: restore "
                       "it or use an earlier checkpoint",
                       reader_.path().string(), printable(entry.name), entry.offset_bytes),
           entry.name);
    });
  }

  // Between sections and tensors there are zeros, and nothing else hides there.
  void padding() {
    std::uint64_t end = kFirstBlockBytes;
    const auto gap = [&](std::uint64_t next) {
      if (next > end) zeros(end, next);
    };
    for (const Section* section :
         {&content_.block.structures, &content_.block.table, &content_.block.manifest}) {
      gap(section->offset_bytes);
      end = section->end();
    }
    for (const auto& piece : content_.pieces()) {
      gap(piece.offset_bytes);
      end = piece.offset_bytes + piece.size_bytes;
    }
    gap(content_.block.file_bytes);
  }

  void zeros(std::uint64_t from, std::uint64_t to) {
    std::vector<std::byte> buffer(std::min<std::uint64_t>(to - from, 1u << 20));
    while (from < to) {
      const MutableBytes piece =
          std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), to - from));
      content_.file->file().read(from, piece);
      count(piece.size());
      const auto odd =
          std::find_if(piece.begin(), piece.end(), [](std::byte b) { return b != std::byte{}; });
      if (odd != piece.end()) {
        const std::uint64_t place = from + static_cast<std::uint64_t>(odd - piece.begin());
        return note(Code::kCorrupt, place, at(place, "a byte of padding is not zero"));
      }
      from += piece.size();
    }
  }

  const Hdf5Reader& reader_;
  const Hdf5Reader::Content& content_;
  unsigned jobs_;
  const std::function<void(std::uint64_t)>& on_bytes_;
  std::mutex mutex_;
  std::atomic<std::uint64_t> bytes_read_{0};
  VerifyReport report_;
};

}  // namespace

VerifyReport Hdf5Reader::verify(unsigned jobs,
                                const std::function<void(std::uint64_t)>& on_bytes) const {
  return Verification(*this, *content_, jobs, on_bytes).run();
}

}  // namespace reprise::container
