#include "ckpt/state/storage.h"

#include "ckpt/base/file.h"

#include <cstring>
#include <utility>

namespace reprise {

namespace {

// Bytes in memory together with whatever keeps them there.
class InPlaceStorage final : public Storage {
 public:
  InPlaceStorage(Bytes bytes, std::shared_ptr<const void> owner)
      : bytes_(bytes), owner_(std::move(owner)) {}

  std::uint64_t size_bytes() const override { return bytes_.size(); }
  void read(std::uint64_t offset, MutableBytes out) const override {
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }
  Bytes in_place() const override { return bytes_; }
  const void* identity() const override { return bytes_.data(); }

 private:
  Bytes bytes_;
  std::shared_ptr<const void> owner_;
};

// A range of a file. Reading goes through the descriptor, not the mapping: pages that are
// only copied do not become resident in this process, however large the file.
class MappedStorage final : public Storage {
 public:
  MappedStorage(std::shared_ptr<const MappedFile> file, std::uint64_t offset, std::uint64_t size)
      : file_(std::move(file)), offset_(offset), bytes_(file_->bytes().subspan(offset, size)) {}

  std::uint64_t size_bytes() const override { return bytes_.size(); }
  void read(std::uint64_t offset, MutableBytes out) const override {
    file_->read(offset_ + offset, out);
  }
  Bytes in_place() const override { return bytes_; }
  void prepare(std::uint64_t offset, std::uint64_t length) const override {
    file_->populate(offset_ + offset, length);
  }
  void release(std::uint64_t offset, std::uint64_t length) const override {
    file_->release(offset_ + offset, length);
  }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::uint64_t offset_;
  Bytes bytes_;
};

}  // namespace

std::shared_ptr<const Storage> mapped_storage(std::shared_ptr<const MappedFile> file,
                                              std::uint64_t offset, std::uint64_t size) {
  return std::make_shared<MappedStorage>(std::move(file), offset, size);
}

std::shared_ptr<const Storage> owned_storage(std::vector<std::byte> bytes) {
  auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  const Bytes view = *owner;
  return std::make_shared<InPlaceStorage>(view, std::move(owner));
}

std::shared_ptr<const Storage> borrowed_storage(Bytes bytes, std::shared_ptr<const void> owner) {
  return std::make_shared<InPlaceStorage>(bytes, std::move(owner));
}

}  // namespace reprise
