// A strided view of typed elements over a shared, possibly unread, storage.
#pragma once

#include "ckpt/base/sha256.h"
#include "ckpt/state/dtype.h"
#include "ckpt/state/storage.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace reprise {

using Shape = std::vector<std::int64_t>;

// Product of the extents. Errors: kCorrupt for a negative extent, or a product
// that does not fit 63 bits (zero extents do not excuse the others).
std::int64_t count_elements(std::span<const std::int64_t> shape);

// Row-major strides, in elements.
Shape contiguous_strides(std::span<const std::int64_t> shape);

// A value type; copying copies the view, never the bytes, and allocates nothing. What was moved
// from may only be assigned to or destroyed. Reading is safe from several threads. Made through
// make(), so every element it names lies in its storage.
class Tensor {
 public:
  Tensor();  // float32 [0]

  // A view of `storage` starting `offset` elements in. Strides in elements, >= 0.
  // Errors: kCorrupt when shape and strides differ in length, a number is negative,
  // or any element would lie outside the storage.
  static Tensor make(DType dtype, Shape shape, Shape strides, std::int64_t offset,
                     std::shared_ptr<const Storage> storage);
  // Contiguous from the start of `storage`.
  static Tensor contiguous(DType dtype, Shape shape, std::shared_ptr<const Storage> storage);
  // Contiguous, over a copy of `bytes`.
  static Tensor copy_of(DType dtype, Shape shape, Bytes bytes);

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return geometry_->shape; }
  const Shape& strides() const { return geometry_->strides; }
  std::int64_t offset() const { return offset_; }
  const std::shared_ptr<const Storage>& storage() const { return storage_; }

  std::int64_t elements() const { return geometry_->elements; }
  std::uint64_t size_bytes() const {
    return static_cast<std::uint64_t>(elements()) * item_size(dtype_);
  }
  bool is_contiguous() const;

  // PyTorch's lazy bits: the logical value is the conjugate, or the negative, of
  // what is stored. read() and for_each_chunk() resolve them.
  bool conjugated() const { return conjugated_; }
  bool negated() const { return negated_; }
  Tensor with_lazy_bits(bool conjugated, bool negated) const;

  // The logical values, contiguous, little-endian, row-major; without a copy where
  // they lie so in memory or in a mapping, else empty.
  Bytes in_place() const;
  // Fills `out`, of size_bytes(), with the logical values. Errors: those of Storage::read.
  void read(MutableBytes out) const;
  std::vector<std::byte> to_bytes() const;

  // Calls `visit` with consecutive pieces of the logical values, in order, each of
  // at most `chunk_bytes` (a multiple of 16): one pass of bounded memory over a tensor of any size.
  void for_each_chunk(std::size_t chunk_bytes, const std::function<void(Bytes)>& visit) const;

  // SHA-256 of the logical values, contiguous, little-endian, row-major.
  Digest digest() const;

 private:
  // Shared by copies of a tensor: state dicts, documents and lists of names all hold some.
  struct Geometry {
    Shape shape, strides;
    std::int64_t elements;
  };

  void gather(std::int64_t first, MutableBytes out) const;
  void resolve_lazy_bits(MutableBytes values) const;

  DType dtype_ = DType::kFloat32;
  bool conjugated_ = false;
  bool negated_ = false;
  std::int64_t offset_ = 0;
  std::shared_ptr<const Geometry> geometry_;  // nullptr only in one that was moved from
  std::shared_ptr<const Storage> storage_;
};

}  // namespace reprise
