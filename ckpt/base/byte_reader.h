// A cursor over bytes from an untrusted file: every read is checked.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/base/error.h"

#include <string>
#include <string_view>

namespace reprise {

// Reads forward through `bytes`, which must outlive it. Not shared between threads.
// Errors: each read past the end throws kCorrupt naming the byte offset
// (`base_offset` + position) and what was expected there.
class ByteReader {
 public:
  explicit ByteReader(Bytes bytes, std::uint64_t base_offset = 0)
      : bytes_(bytes), base_offset_(base_offset) {}

  std::uint64_t position() const { return position_; }
  std::uint64_t remaining() const { return bytes_.size() - position_; }
  bool at_end() const { return position_ == bytes_.size(); }
  // Offset of the cursor in the file, for messages.
  std::uint64_t offset_bytes() const { return base_offset_ + position_; }

  // The next `length` bytes, as a view into the underlying bytes.
  Bytes take(std::uint64_t length, std::string_view what) {
    if (length > remaining()) {
      fail(Code::kCorrupt,
           "byte {}: {} needs {} bytes, {} are left; the file is truncated or damaged",
           offset_bytes(), what, length, remaining());
    }
    const Bytes view = bytes_.subspan(position_, length);
    position_ += length;
    return view;
  }

  template <typename T>
  T number(std::string_view what) {
    return load_little<T>(take(sizeof(T), what).data());
  }

  void seek(std::uint64_t position) {
    if (position > bytes_.size()) {
      fail(Code::kCorrupt, "byte {}: beyond the end at {}; the file is truncated or damaged",
           base_offset_ + position, base_offset_ + bytes_.size());
    }
    position_ = position;
  }

 private:
  Bytes bytes_;
  std::uint64_t base_offset_;
  std::uint64_t position_ = 0;
};

}  // namespace reprise
