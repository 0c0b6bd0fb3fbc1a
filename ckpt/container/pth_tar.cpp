#include "ckpt/container/pth_tar.h"

#include "ckpt/base/byte_reader.h"
#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/persistent_id.h"
#include "ckpt/container/tar_directory.h"
#include "ckpt/container/zip_storage.h"
#include "ckpt/pickle/globals.h"
#include "ckpt/pickle/machine.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace reprise::container {

namespace {

constexpr std::int32_t kMostDimensions = 64;

// One member: pickles and raw numbers in turn.
class Member {
 public:
  Member(Arena& arena, const std::map<std::string, Bytes>& members, const std::string& name,
         const MappedFile& file)
      : arena_(arena), file_bytes_(file.bytes().size()) {
    const auto found = members.find(name);
    if (found == members.end()) {
      fail(Code::kUnsupported, "a tar archive without the member '{}'; it is no file of torch.save",
           name);
    }
    bytes_ = found->second;
    base_ = static_cast<std::uint64_t>(bytes_.data() - file.bytes().data());
  }

  Value pickle(const pickle::PersistentLoad& persistent = {}) {
    pickle::LoadOptions options;
    options.base_offset = offset_bytes();
    options.file_bytes = file_bytes_;
    options.persistent_load = persistent;
    const pickle::Loaded loaded = pickle::load(arena_, bytes_.subspan(position_), options);
    position_ += loaded.size_bytes;
    return loaded.root;
  }
  Bytes take(std::uint64_t size, std::string_view what) {
    ByteReader reader(bytes_.subspan(position_), offset_bytes());
    const Bytes taken = reader.take(size, what);
    position_ += size;
    return taken;
  }
  template <typename T>
  T number(std::string_view what) {
    return load_little<T>(take(sizeof(T), what).data());
  }
  // A count of things of at least `least` bytes each: no more than there is room for.
  std::uint64_t count(std::uint64_t least) {
    const std::uint64_t at = offset_bytes();
    const auto found = pickle().if_int();
    if (!found || *found < 0 ||
        static_cast<std::uint64_t>(*found) > (bytes_.size() - position_) / least) {
      fail(Code::kCorrupt, "byte {}: a count that the file has no room for", at);
    }
    return static_cast<std::uint64_t>(*found);
  }
  std::uint64_t offset_bytes() const { return base_ + position_; }

 private:
  Arena& arena_;
  std::uint64_t file_bytes_;
  Bytes bytes_;
  std::uint64_t base_ = 0;
  std::uint64_t position_ = 0;
};

std::span<const Value> tuple_of(Value value, std::size_t size, std::uint64_t at) {
  if (!value.is_sequence() || value.as_sequence().items.size() != size) {
    fail(Code::kCorrupt, "byte {}: {} values in a row were expected", at, size);
  }
  return value.as_sequence().items.span();
}

DType dtype_of(Value cls, std::uint64_t at) {
  const auto dtype =
      cls.kind() == Kind::kGlobal ? pickle::storage_dtype(cls.as_global()) : std::nullopt;
  if (!dtype) fail(Code::kCorrupt, "byte {}: a class that is no storage or tensor class", at);
  return *dtype;
}

class TarReader {
 public:
  TarReader(Arena& arena, std::shared_ptr<const MappedFile> file)
      : arena_(arena),
        file_(std::move(file)),
        members_(read_tar(file_->bytes())),
        limit_(arena, pickle::arena_limit(file_->bytes().size())) {}

  Value read() {
    const Value system = member("sys_info").pickle();
    const DictNode* facts = system.if_dict();
    if (facts != nullptr && facts->get("little_endian").if_bool() == false) {
      fail(Code::kUnsupported, "a tar archive written on a big-endian machine");
    }
    read_storages();
    read_tensors();
    return member("pickle").pickle([this](Value id) { return tensor_of(id); });
  }

 private:
  struct Typed {
    DType dtype = DType::kFloat32;
    std::shared_ptr<const Storage> storage;
  };

  Member member(const std::string& name) const { return {arena_, members_, name, *file_}; }

  void add(Value key, Typed storage, std::uint64_t at) {
    if (!key.if_int() || !storages_.emplace(*key.if_int(), std::move(storage)).second) {
      fail(Code::kCorrupt, "byte {}: a storage without a number of its own", at);
    }
  }
  const Typed& storage(Value key, std::uint64_t at) const {
    const auto found = key.if_int() ? storages_.find(*key.if_int()) : storages_.end();
    if (found == storages_.end())
      fail(Code::kCorrupt, "byte {}: a storage that is not in the file", at);
    return found->second;
  }

  void read_storages() {
    Member storages = member("storages");
    const std::uint64_t count = storages.count(8);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t at = storages.offset_bytes();
      const auto facts = tuple_of(storages.pickle(), 3, at);  // key, location, class
      const DType dtype = dtype_of(facts[2], at);
      const auto elements = storages.number<std::uint64_t>("the number of elements of a storage");
      const auto size = checked_multiply<std::uint64_t>(elements, item_size(dtype));
      if (!size) fail(Code::kCorrupt, "byte {}: a storage of {} elements", at, elements);
      const std::uint64_t offset = storages.offset_bytes();
      storages.take(*size, "a storage");
      add(facts[0], {dtype, mapped_storage(file_, offset, *size)}, at);
    }
    const std::uint64_t at = storages.offset_bytes();
    const Value views = storages.pickle();
    if (!views.is_sequence())
      fail(Code::kCorrupt, "byte {}: a list of storage views was expected", at);
    for (const Value view : views.as_sequence().items) {
      const auto facts = tuple_of(view, 4, at);  // key, key of the whole, first element, elements
      const Typed& whole = storage(facts[1], at);
      const auto width = static_cast<std::int64_t>(item_size(whole.dtype));
      const auto first = facts[2].if_int();
      const auto elements = facts[3].if_int();
      const auto offset = first ? checked_multiply(*first, width) : std::nullopt;
      const auto size = elements ? checked_multiply(*elements, width) : std::nullopt;
      if (!offset || !size || *offset < 0 || *size < 0 ||
          !fits(static_cast<std::uint64_t>(*offset), static_cast<std::uint64_t>(*size),
                whole.storage->size_bytes())) {
        fail(Code::kCorrupt, "byte {}: a storage view that leaves its storage", at);
      }
      Typed part = {whole.dtype, part_of_storage(whole.storage, static_cast<std::uint64_t>(*offset),
                                                 static_cast<std::uint64_t>(*size))};
      add(facts[0], std::move(part), at);
    }
  }

  void read_tensors() {
    Member tensors = member("tensors");
    const std::uint64_t count = tensors.count(16);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t at = tensors.offset_bytes();
      const auto facts = tuple_of(tensors.pickle(), 3, at);  // key, key of its storage, class
      const Typed& typed = storage(facts[1], at);
      const auto dimensions = tensors.number<std::int32_t>("the number of dimensions");
      // PyTorch 0.1.1 wrote eight bytes of a four-byte number: the rest is garbage.
      tensors.take(4, "padding");
      if (dimensions < 0 || dimensions > kMostDimensions) {
        fail(Code::kCorrupt, "byte {}: a tensor of {} dimensions", at, dimensions);
      }
      Shape shape(static_cast<std::size_t>(dimensions)),
          strides(static_cast<std::size_t>(dimensions));
      for (auto& extent : shape) extent = tensors.number<std::int64_t>("an extent");
      for (auto& stride : strides) stride = tensors.number<std::int64_t>("a stride");
      const auto offset = tensors.number<std::int64_t>("an offset");
      Tensor tensor =
          Tensor::make(typed.dtype, std::move(shape), std::move(strides), offset, typed.storage);
      // Strides of nothing make any number of elements from one.
      const std::uint64_t most = kMostDeclaredBytes + 16 * file_->bytes().size();
      if (tensor.size_bytes() > most - declared_bytes_) {
        fail(Code::kCorrupt, "byte {}: its tensors declare far more bytes than the file holds", at);
      }
      declared_bytes_ += tensor.size_bytes();
      if (!facts[0].if_int() ||
          !tensors_.emplace(*facts[0].if_int(), arena_.tensor(std::move(tensor))).second) {
        fail(Code::kCorrupt, "byte {}: a tensor without a number of its own", at);
      }
    }
  }

  // A persistent id here is a tensor's number, as text.
  Value tensor_of(Value id) const {
    std::int64_t key = 0;
    if (const auto text = id.if_string()) {
      const auto [stop, error] = std::from_chars(text->data(), text->data() + text->size(), key);
      const auto found = error == std::errc() && stop == text->data() + text->size()
                             ? tensors_.find(key)
                             : tensors_.end();
      if (found != tensors_.end()) return found->second;
    }
    fail(Code::kCorrupt, "a persistent id that is no tensor of the file");
  }

  static constexpr std::uint64_t kMostDeclaredBytes = 64u << 20;

  Arena& arena_;
  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, Bytes> members_;
  ArenaLimit limit_;
  std::unordered_map<std::int64_t, Typed> storages_;
  std::unordered_map<std::int64_t, Value> tensors_;
  std::uint64_t declared_bytes_ = 0;
};

}  // namespace

Document open_pth_tar(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  Document document;
  document.path = path.string();
  document.container = "pth-tar";
  document.arena->keep_alive(file);
  try {
    document.root = TarReader(*document.arena, file).read();
  } catch (const Error& error) {
    throw error.at(path.string());
  }
  return document;
}

}  // namespace reprise::container
