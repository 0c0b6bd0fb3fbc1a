#include "ckpt/container/zip_storage.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/deflate.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <list>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace reprise::container {

namespace {

void compare(const MappedFile& archive, const ZipEntry& entry, std::uint32_t found) {
  if (found == entry.crc32) return;
  fail(Code::kCorrupt,
       "{}: '{}' at byte {}: its CRC-32 is {:08x}, the archive says {:08x}; the file is damaged: "
       "restore it from a copy",
       archive.path().string(), printable(entry.name), entry.offset_bytes, found, entry.crc32);
}

// The checksum of a stored entry, window by window: no more than that stays resident.
std::uint32_t crc_of_stored(const MappedFile& archive, const ZipEntry& entry) {
  constexpr std::uint64_t kWindowBytes = 2u << 20;
  std::uint32_t crc = 0;
  for (std::uint64_t done = 0; done < entry.stored_bytes; done += kWindowBytes) {
    const std::uint64_t from = entry.offset_bytes + done;
    const std::uint64_t length = std::min(kWindowBytes, entry.stored_bytes - done);
    archive.populate(from, length);
    crc = crc32(archive.bytes().subspan(from, length), crc);
    archive.release(from, length);
  }
  return crc;
}

class StoredEntry final : public Storage {
 public:
  StoredEntry(std::shared_ptr<const MappedFile> archive, const ZipEntry& entry)
      : archive_(std::move(archive)), entry_(entry) {}

  std::uint64_t size_bytes() const override { return entry_.size_bytes; }
  void read(std::uint64_t offset, MutableBytes out) const override {
    if (out.empty()) return;
    checked();
    archive_->read(entry_.offset_bytes + offset, out);
  }
  Bytes in_place() const override { return checked(); }
  void prepare(std::uint64_t offset, std::uint64_t length) const override {
    archive_->populate(entry_.offset_bytes + offset, length);
  }
  void release(std::uint64_t offset, std::uint64_t length) const override {
    archive_->release(entry_.offset_bytes + offset, length);
  }

 private:
  Bytes checked() const {
    const Bytes content = archive_->bytes().subspan(entry_.offset_bytes, entry_.stored_bytes);
    if (!checked_.load(std::memory_order_acquire)) {
      // Two threads may both compute it; the answer is the same.
      compare(*archive_, entry_, crc_of_stored(*archive_, entry_));
      checked_.store(true, std::memory_order_release);
    }
    return content;
  }

  std::shared_ptr<const MappedFile> archive_;
  ZipEntry entry_;
  mutable std::atomic<bool> checked_{false};
};

using Inflated = std::shared_ptr<const std::vector<std::byte>>;

// The contents inflated last, so that reading a tensor piece by piece inflates once.
class InflateCache {
 public:
  template <typename Make>
  Inflated get(const void* key, Make make) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(recent_, key, &std::pair<const void*, Inflated>::first);
    if (found != recent_.end()) {
      recent_.splice(recent_.begin(), recent_, found);
      return recent_.front().second;
    }
    if (recent_.size() == kKept) recent_.pop_back();
    recent_.emplace_front(key, make());
    return recent_.front().second;
  }
  void forget(const void* key) {
    const std::lock_guard lock(mutex_);
    recent_.remove_if([&](const auto& item) { return item.first == key; });
  }

 private:
  static constexpr std::size_t kKept = 4;
  std::mutex mutex_;
  std::list<std::pair<const void*, Inflated>> recent_;
};

InflateCache& inflate_cache() {
  static InflateCache cache;
  return cache;
}

class DeflatedEntry final : public Storage {
 public:
  DeflatedEntry(std::shared_ptr<const MappedFile> archive, const ZipEntry& entry)
      : archive_(std::move(archive)), entry_(entry) {}
  ~DeflatedEntry() override { inflate_cache().forget(this); }

  std::uint64_t size_bytes() const override { return entry_.size_bytes; }
  void read(std::uint64_t offset, MutableBytes out) const override {
    if (out.empty()) return;
    const Inflated content = inflate_cache().get(this, [&] {
      std::vector<std::byte> bytes(entry_.size_bytes);
      try {
        inflate(archive_->bytes().subspan(entry_.offset_bytes, entry_.stored_bytes), bytes);
      } catch (const Error& error) {
        throw error.at(fmt::format("{}: '{}'", archive_->path().string(), printable(entry_.name)));
      }
      compare(*archive_, entry_, crc32(bytes));
      return std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    });
    std::memcpy(out.data(), content->data() + offset, out.size());
  }

 private:
  std::shared_ptr<const MappedFile> archive_;
  ZipEntry entry_;
};

class SwappedStorage final : public Storage {
 public:
  SwappedStorage(std::shared_ptr<const Storage> inner, std::size_t width)
      : inner_(std::move(inner)), width_(width) {}

  std::uint64_t size_bytes() const override { return inner_->size_bytes(); }
  void read(std::uint64_t offset, MutableBytes out) const override {
    if (out.empty()) return;
    // Whole elements around the bytes asked for; a rest at the end stays as it is.
    const std::uint64_t first = offset / width_ * width_;
    const std::uint64_t last = std::min(align(offset + out.size()), size_bytes());
    std::vector<std::byte> elements(last - first);
    inner_->read(first, elements);
    for (std::size_t i = 0; i + width_ <= elements.size(); i += width_) {
      std::reverse(elements.begin() + static_cast<std::ptrdiff_t>(i),
                   elements.begin() + static_cast<std::ptrdiff_t>(i + width_));
    }
    std::memcpy(out.data(), elements.data() + (offset - first), out.size());
  }

 private:
  std::uint64_t align(std::uint64_t end) const { return (end + width_ - 1) / width_ * width_; }

  std::shared_ptr<const Storage> inner_;
  std::size_t width_;
};

class PartOfStorage final : public Storage {
 public:
  PartOfStorage(std::shared_ptr<const Storage> whole, std::uint64_t offset, std::uint64_t size)
      : whole_(std::move(whole)), offset_(offset), size_(size) {}

  std::uint64_t size_bytes() const override { return size_; }
  void read(std::uint64_t offset, MutableBytes out) const override {
    whole_->read(offset_ + offset, out);
  }
  Bytes in_place() const override {
    const Bytes all = whole_->in_place();
    return all.empty() ? all : all.subspan(offset_, size_);
  }
  void prepare(std::uint64_t offset, std::uint64_t length) const override {
    whole_->prepare(offset_ + offset, length);
  }
  void release(std::uint64_t offset, std::uint64_t length) const override {
    whole_->release(offset_ + offset, length);
  }

 private:
  std::shared_ptr<const Storage> whole_;
  std::uint64_t offset_;
  std::uint64_t size_;
};

}  // namespace

std::shared_ptr<const Storage> zip_storage(std::shared_ptr<const MappedFile> archive,
                                           const ZipEntry& entry) {
  if (entry.deflated) return std::make_shared<DeflatedEntry>(std::move(archive), entry);
  return std::make_shared<StoredEntry>(std::move(archive), entry);
}

std::shared_ptr<const Storage> swapped_storage(std::shared_ptr<const Storage> inner,
                                               std::size_t width) {
  if (width <= 1) return inner;
  return std::make_shared<SwappedStorage>(std::move(inner), width);
}

std::shared_ptr<const Storage> part_of_storage(std::shared_ptr<const Storage> whole,
                                               std::uint64_t offset, std::uint64_t size) {
  return std::make_shared<PartOfStorage>(std::move(whole), offset, size);
}

}  // namespace reprise::container
