// A storage whose place in the file is known only after the pickle that uses it.
#pragma once

#include "ckpt/state/storage.h"

#include <cstdint>

namespace reprise::container {

// Reads as soon as bind() was called, once, before the document is handed out. After
// that immutable and safe to share between threads.
class LateStorage final : public Storage {
 public:
  explicit LateStorage(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}

  // `source` holds exactly size_bytes().
  void bind(std::shared_ptr<const Storage> source) { source_ = std::move(source); }
  bool bound() const { return source_ != nullptr; }

  std::uint64_t size_bytes() const override { return size_bytes_; }
  void read(std::uint64_t offset, MutableBytes out) const override {
    if (!out.empty()) source_->read(offset, out);
  }
  Bytes in_place() const override { return source_ ? source_->in_place() : Bytes(); }
  void prepare(std::uint64_t offset, std::uint64_t length) const override {
    if (source_) source_->prepare(offset, length);
  }
  void release(std::uint64_t offset, std::uint64_t length) const override {
    if (source_) source_->release(offset, length);
  }

 private:
  std::uint64_t size_bytes_;
  std::shared_ptr<const Storage> source_;
};

}  // namespace reprise::container
