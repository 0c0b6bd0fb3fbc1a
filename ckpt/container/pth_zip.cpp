#include "ckpt/container/pth_zip.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/persistent_id.h"
#include "ckpt/container/torchscript.h"
#include "ckpt/container/zip_directory.h"
#include "ckpt/container/zip_storage.h"
#include "ckpt/pickle/machine.h"

#include <string>
#include <unordered_map>
#include <utility>

namespace reprise::container {

namespace {

constexpr std::uint64_t kLargestByteOrderRecord = 16;

// An opened archive: its directory, its one root, its byte order.
class TorchArchive {
 public:
  explicit TorchArchive(std::shared_ptr<const MappedFile> file)
      : file_(std::move(file)), directory_(ZipDirectory::read(*file_)) {
    find_root();
    big_endian_ = read_byte_order();
  }

  bool is_torchscript() const { return directory_.find(root_ + "/constants.pkl") != nullptr; }
  bool is_big_endian() const { return big_endian_; }
  const std::shared_ptr<const MappedFile>& file() const { return file_; }

  const ZipEntry* find(std::string_view name) const {
    return directory_.find(root_ + "/" + std::string(name));
  }

  // The whole content of a small record, checked. Lives as long as the arena.
  Bytes content(Arena& arena, const ZipEntry& entry) const {
    const auto storage = zip_storage(file_, entry);
    arena.keep_alive(storage);
    if (!entry.deflated) return storage->in_place();
    const MutableBytes bytes(static_cast<std::byte*>(arena.allocate(entry.size_bytes + 1, 1)),
                             entry.size_bytes);
    storage->read(0, bytes);
    return bytes;
  }

 private:
  void find_root() {
    constexpr std::string_view kPickle = "/data.pkl";
    for (const ZipEntry& entry : directory_.entries()) {
      const std::size_t slash = entry.name.find('/');
      if (slash == std::string_view::npos || !entry.name.ends_with(kPickle)) continue;
      if (slash + kPickle.size() == entry.name.size()) root_ = entry.name.substr(0, slash);
    }
    if (root_.empty()) {
      fail(Code::kUnsupported,
           "a ZIP archive without 'data.pkl' in its one folder; it is no file of torch.save");
    }
    for (const ZipEntry& entry : directory_.entries()) {
      if (!entry.name.starts_with(root_ + "/")) {
        fail(Code::kCorrupt,
             "'{}' lies outside the folder '{}' that holds the checkpoint; the archive is hostile",
             printable(entry.name), printable(root_));
      }
    }
  }

  bool read_byte_order() const {
    const ZipEntry* entry = find("byteorder");
    if (entry == nullptr)
      return false;  // before PyTorch 2.1 only little-endian data could be told apart
    if (entry->size_bytes > kLargestByteOrderRecord)
      fail(Code::kCorrupt, "a 'byteorder' record of {} bytes", entry->size_bytes);
    std::vector<std::byte> bytes(entry->size_bytes);
    zip_storage(file_, *entry)->read(0, bytes);
    const std::string_view order = as_text(bytes);
    if (order != "little" && order != "big") {
      fail(Code::kCorrupt, "the byte order is '{}'; 'little' or 'big' was expected",
           printable(order));
    }
    return order == "big";
  }

  std::shared_ptr<const MappedFile> file_;
  ZipDirectory directory_;
  std::string root_;
  bool big_endian_ = false;
};

// Makes storages of persistent ids, one for each key.
class Storages {
 public:
  Storages(Arena& arena, const TorchArchive& archive) : arena_(arena), archive_(archive) {}

  Value operator()(Value id) {
    const StorageId storage = parse_storage_id(id);
    auto& made = made_[std::string(storage.key)];
    if (made == nullptr) made = open(storage);
    // A second use of a key may have another element type, of the same bytes.
    if (made->size_bytes() != storage.size_bytes) {
      fail(Code::kCorrupt, "storage '{}' holds {} bytes in the archive; the pickle declares {}",
           printable(storage.key), made->size_bytes(), storage.size_bytes);
    }
    return storage_value(arena_, storage.dtype, made);
  }

 private:
  std::shared_ptr<const Storage> open(const StorageId& storage) const {
    const ZipEntry* entry = archive_.find("data/" + std::string(storage.key));
    if (entry == nullptr) {
      if (storage.size_bytes == 0) return owned_storage({});
      fail(Code::kCorrupt, "the archive has no 'data/{}', {} bytes of tensors; the file is damaged",
           printable(storage.key), storage.size_bytes);
    }
    auto plain = zip_storage(archive_.file(), *entry);
    return archive_.is_big_endian() ? swapped_storage(std::move(plain), swap_width(storage.dtype))
                                    : plain;
  }

  Arena& arena_;
  const TorchArchive& archive_;
  std::unordered_map<std::string, std::shared_ptr<const Storage>> made_;
};

}  // namespace

Document open_pth_zip(const std::filesystem::path& path) {
  return open_pth_zip(MappedFile::open(path));
}

Document open_pth_zip(const std::shared_ptr<const MappedFile>& file) {
  const std::filesystem::path& path = file->path();
  try {
    const TorchArchive archive(file);
    Document document;
    document.path = path.string();
    document.container = archive.is_torchscript() ? "torchscript" : "pth-zip";
    document.arena->keep_alive(file);
    Arena& arena = *document.arena;
    const ZipEntry& entry = *archive.find("data.pkl");
    const Bytes pickle = archive.content(arena, entry);
    Storages storages(arena, archive);
    pickle::LoadOptions options;
    options.base_offset = entry.deflated ? 0 : entry.offset_bytes;
    options.file_bytes = file->bytes().size();
    options.persistent_load = [&](Value id) { return storages(id); };
    document.root = pickle::load(arena, pickle, options).root;
    if (archive.is_torchscript()) document.root = script_state(arena, document.root);
    return document;
  } catch (const Error& error) {
    throw std::string_view(error.what()).starts_with(path.string()) ? error
                                                                    : error.at(path.string());
  }
}

bool is_torchscript(Bytes file) { return ZipDirectory::lists(file, "/constants.pkl"); }

}  // namespace reprise::container
