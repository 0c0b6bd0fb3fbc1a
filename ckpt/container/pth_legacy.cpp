#include "ckpt/container/pth_legacy.h"

#include "ckpt/base/byte_reader.h"
#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/late_storage.h"
#include "ckpt/container/persistent_id.h"
#include "ckpt/container/zip_storage.h"
#include "ckpt/pickle/machine.h"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <utility>

namespace reprise::container {

namespace {

// 0x1950a86a20f9469cfc6c, torch.serialization.MAGIC_NUMBER.
constexpr std::array<std::uint8_t, 10> kMagic = {0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                                 0x20, 0x6a, 0xa8, 0x50, 0x19};
constexpr std::string_view kMagicDigits = "119547037146038801333356";  // the same, in protocol 0
constexpr std::int64_t kProtocolVersion = 1001;
constexpr std::size_t kLongestMagic = 64;  // in protocol 0 it is 27 bytes of text

bool is_magic(Value value) {
  return value.kind() == Kind::kBigInt &&
         std::ranges::equal(value.as_bytes(), std::as_bytes(std::span(kMagic)));
}

bool spells_magic(std::string_view start) {
  const auto spelt = as_text(std::as_bytes(std::span(kMagic)));
  return start.find(spelt) != start.npos || start.find(kMagicDigits) != start.npos;
}

class LegacyReader {
 public:
  LegacyReader(Arena& arena, std::shared_ptr<const MappedFile> file)
      : arena_(arena),
        file_(std::move(file)),
        bytes_(file_->bytes()),
        limit_(arena, pickle::arena_limit(bytes_.size())) {}

  Value read() {
    if (!is_magic(next_pickle(false)))
      fail(Code::kCorrupt, "the magic number of torch.save is missing");
    const Value protocol = next_pickle(false);
    if (protocol.if_int() != kProtocolVersion) {
      fail(Code::kUnsupported, "the version of the legacy container is not {}", kProtocolVersion);
    }
    const Value system = next_pickle(false);
    if (const DictNode* facts = system.if_dict()) {
      big_endian_ = facts->get("little_endian").if_bool() == false;
    }
    const Value root = next_pickle(true);
    read_storages(next_pickle(false));
    bind_views();
    return root;
  }

 private:
  struct Root {
    std::shared_ptr<LateStorage> storage;
    DType dtype = DType::kUInt8;
    std::uint64_t elements = 0;
  };
  struct View {
    std::shared_ptr<LateStorage> storage;
    std::string root;
    std::uint64_t offset_bytes = 0;
  };

  Value next_pickle(bool with_storages) {
    pickle::LoadOptions options;
    options.base_offset = position_;
    options.file_bytes = bytes_.size();
    if (with_storages) options.persistent_load = [this](Value id) { return persistent(id); };
    const pickle::Loaded loaded = pickle::load(arena_, bytes_.subspan(position_), options);
    position_ += loaded.size_bytes;
    return loaded.root;
  }

  Value persistent(Value id) {
    if (const auto cls = saved_class(id)) return *cls;
    const StorageId storage = parse_storage_id(id);
    // The bytes lie behind this pickle; no size beyond the file can be true.
    if (storage.size_bytes > bytes_.size()) {
      fail(Code::kCorrupt, "storage '{}' declares {} bytes in a file of {}", printable(storage.key),
           storage.size_bytes, bytes_.size());
    }
    Root& root = roots_[std::string(storage.key)];
    if (root.storage == nullptr) {
      root = {std::make_shared<LateStorage>(storage.size_bytes), storage.dtype, storage.elements};
    }
    if (root.storage->size_bytes() != storage.size_bytes) {
      fail(Code::kCorrupt, "storage '{}' is declared with {} and with {} bytes",
           printable(storage.key), root.storage->size_bytes(), storage.size_bytes);
    }
    if (storage.view.is_none()) return storage_value(arena_, storage.dtype, root.storage);
    return storage_value(arena_, storage.dtype, view_of(storage));
  }

  // (key of the view, first element, elements): storages inside others, of PyTorch 0.1 to 0.3.
  std::shared_ptr<const Storage> view_of(const StorageId& storage) {
    const bool tuple =
        storage.view.kind() == Kind::kTuple && storage.view.as_sequence().items.size() == 3;
    if (!tuple)
      fail(Code::kCorrupt, "a view of storage '{}' that is no tuple of three",
           printable(storage.key));
    const auto& items = storage.view.as_sequence().items;
    const auto first = items[1].if_int();
    const auto elements = items[2].if_int();
    if (!items[0].is_string() || !first || !elements || *first < 0 || *elements < 0 ||
        !fits(static_cast<std::uint64_t>(*first), static_cast<std::uint64_t>(*elements),
              storage.elements)) {
      fail(Code::kCorrupt, "a view that does not lie in storage '{}' of {} elements",
           printable(storage.key), storage.elements);
    }
    const std::uint64_t width = item_size(storage.dtype);
    const std::uint64_t size = static_cast<std::uint64_t>(*elements) * width;
    View& view = views_[std::string(items[0].as_string())];
    if (view.storage == nullptr) {
      view = {std::make_shared<LateStorage>(size), std::string(storage.key),
              static_cast<std::uint64_t>(*first) * width};
    } else if (view.storage->size_bytes() != size || view.root != storage.key) {
      fail(Code::kCorrupt, "view '{}' is declared twice, differently",
           printable(items[0].as_string()));
    }
    return view.storage;
  }

  void read_storages(Value keys) {
    if (keys.kind() != Kind::kList)
      fail(Code::kCorrupt, "byte {}: the list of storage keys is no list", position_);
    ByteReader reader(bytes_);
    reader.seek(position_);
    for (const Value key : keys.as_sequence().items) {
      if (!key.is_string())
        fail(Code::kCorrupt, "byte {}: a storage key that is no string", position_);
      const auto found = roots_.find(std::string(key.as_string()));
      if (found == roots_.end()) {
        fail(Code::kCorrupt, "byte {}: the pickle does not use storage '{}'", reader.offset_bytes(),
             printable(key.as_string()));
      }
      Root& root = found->second;
      if (root.storage->bound()) {
        fail(Code::kCorrupt, "byte {}: storage '{}' occurs twice", reader.offset_bytes(),
             printable(key.as_string()));
      }
      const std::uint64_t at = reader.offset_bytes();
      const auto count = reader.number<std::uint64_t>("the number of elements of a storage");
      const bool agrees =
          count == root.elements || (big_endian_ && __builtin_bswap64(count) == root.elements);
      if (!agrees) {
        fail(Code::kCorrupt, "byte {}: storage '{}' holds {} elements; the pickle declares {}", at,
             printable(key.as_string()), count, root.elements);
      }
      const std::uint64_t offset = reader.offset_bytes();
      reader.take(root.storage->size_bytes(), "a storage");
      root.storage->bind(mapped_storage(file_, offset, root.storage->size_bytes()));
    }
    for (const auto& [key, root] : roots_) {
      if (root.storage->bound()) continue;
      fail(Code::kCorrupt, "storage '{}' is used by the pickle but not in the file",
           printable(key));
    }
    if (!reader.at_end()) {
      fail(Code::kCorrupt, "byte {}: {} bytes behind the last storage; something was appended",
           reader.offset_bytes(), reader.remaining());
    }
  }

  void bind_views() {
    for (auto& [key, view] : views_) {
      view.storage->bind(part_of_storage(roots_.at(view.root).storage, view.offset_bytes,
                                         view.storage->size_bytes()));
    }
  }

  Arena& arena_;
  std::shared_ptr<const MappedFile> file_;
  Bytes bytes_;
  ArenaLimit limit_;
  std::uint64_t position_ = 0;
  bool big_endian_ = false;
  std::unordered_map<std::string, Root> roots_;
  std::unordered_map<std::string, View> views_;
};

}  // namespace

bool starts_like_legacy(Bytes file) {
  const Bytes start = file.first(std::min(file.size(), kLongestMagic));
  // A pickle computes nothing: it has to spell the number, in bytes or in digits. Most files are
  // told apart by this, before a machine that would throw.
  if (!spells_magic(as_text(start))) return false;
  Arena arena;
  try {
    return is_magic(pickle::load(arena, start).root);
  } catch (const Error&) {
    return false;
  }
}

Document open_pth_legacy(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  Document document;
  document.path = path.string();
  document.container = "pth-legacy";
  document.arena->keep_alive(file);
  try {
    document.root = LegacyReader(*document.arena, file).read();
  } catch (const Error& error) {
    throw error.at(path.string());
  }
  return document;
}

}  // namespace reprise::container
