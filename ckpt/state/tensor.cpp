#include "ckpt/state/tensor.h"

#include "ckpt/base/error.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

namespace reprise {

namespace {

[[noreturn]] void refuse(DType dtype, const Shape& shape, const Shape& strides, std::int64_t offset,
                         std::uint64_t storage_bytes) {
  fail(Code::kCorrupt,
       "a {} tensor of shape [{}], strides [{}], offset {} does not lie in its storage of {} bytes",
       name(dtype), fmt::join(shape, ", "), fmt::join(strides, ", "), offset, storage_bytes);
}

// Flips the sign bit of every element, or of every imaginary part, of width
// `part` bytes, starting at `first` and then every `step` bytes.
void flip_signs(MutableBytes values, std::size_t first, std::size_t step, std::size_t part) {
  for (std::size_t i = first; i < values.size(); i += step) values[i + part - 1] ^= std::byte{0x80};
}

template <typename Integer>
void negate_integers(MutableBytes values) {
  for (std::size_t i = 0; i + sizeof(Integer) <= values.size(); i += sizeof(Integer)) {
    const auto value = load_little<Integer>(values.data() + i);
    store_little(values.data() + i, static_cast<Integer>(0 - value));  // wraps, as PyTorch does
  }
}

}  // namespace

std::int64_t count_elements(std::span<const std::int64_t> shape) {
  std::int64_t product = 1;
  std::int64_t elements = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0) fail(Code::kCorrupt, "a shape holds the negative extent {}", extent);
    elements = extent == 0 ? 0 : elements;
    const auto next = checked_multiply(product, std::max<std::int64_t>(extent, 1));
    if (!next) fail(Code::kCorrupt, "a shape [{}] overflows 63 bits", fmt::join(shape, ", "));
    product = *next;
  }
  return elements == 0 ? 0 : product;
}

Shape contiguous_strides(std::span<const std::int64_t> shape) {
  Shape strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

Tensor::Tensor() {
  static const auto empty = std::make_shared<const Geometry>(Geometry{{0}, {1}, 0});
  geometry_ = empty;
}

Tensor Tensor::make(DType dtype, Shape shape, Shape strides, std::int64_t offset,
                    std::shared_ptr<const Storage> storage) {
  const std::uint64_t storage_bytes = storage ? storage->size_bytes() : 0;
  const auto width = static_cast<std::int64_t>(item_size(dtype));
  const std::int64_t elements = count_elements(shape);
  if (shape.size() != strides.size() || offset < 0)
    refuse(dtype, shape, strides, offset, storage_bytes);

  // The last element touched bounds all of them, since strides are not negative.
  std::optional<std::int64_t> last = offset;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (strides[i] < 0) refuse(dtype, shape, strides, offset, storage_bytes);
    const auto reach = checked_multiply(std::max<std::int64_t>(shape[i] - 1, 0), strides[i]);
    last = last && reach ? checked_add(*last, *reach) : std::nullopt;
  }
  const auto end = last ? checked_add<std::int64_t>(*last, elements > 0 ? 1 : 0) : std::nullopt;
  const auto end_bytes = end ? checked_multiply(*end, width) : std::nullopt;
  const auto logical_bytes = checked_multiply(elements, width);
  const bool inside = end_bytes && static_cast<std::uint64_t>(*end_bytes) <= storage_bytes;
  if (!logical_bytes || (elements > 0 && !inside)) {
    refuse(dtype, shape, strides, offset, storage_bytes);
  }

  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.offset_ = offset;
  tensor.geometry_ =
      std::make_shared<Geometry>(Geometry{std::move(shape), std::move(strides), elements});
  tensor.storage_ = std::move(storage);
  return tensor;
}

Tensor Tensor::contiguous(DType dtype, Shape shape, std::shared_ptr<const Storage> storage) {
  count_elements(shape);  // before the strides multiply anything
  Shape strides = contiguous_strides(shape);
  return make(dtype, std::move(shape), std::move(strides), 0, std::move(storage));
}

Tensor Tensor::copy_of(DType dtype, Shape shape, Bytes bytes) {
  return contiguous(dtype, std::move(shape), owned_storage({bytes.begin(), bytes.end()}));
}

bool Tensor::is_contiguous() const {
  std::int64_t expected = 1;
  for (std::size_t i = shape().size(); i-- > 0;) {
    if (shape()[i] == 0) return true;
    if (shape()[i] != 1 && strides()[i] != expected) return false;
    expected *= shape()[i];
  }
  return true;
}

Tensor Tensor::with_lazy_bits(bool conjugated, bool negated) const {
  Tensor copy = *this;
  copy.conjugated_ = conjugated && is_complex(dtype_);
  copy.negated_ = negated;
  return copy;
}

Bytes Tensor::in_place() const {
  if (elements() == 0 || conjugated_ || negated_ || !is_contiguous()) return {};
  const Bytes all = storage_->in_place();
  if (all.empty()) return {};
  return all.subspan(static_cast<std::uint64_t>(offset_) * item_size(dtype_), size_bytes());
}

void Tensor::read(MutableBytes out) const {
  if (out.size() != size_bytes()) fail(Code::kInternal, "Tensor::read: a buffer of the wrong size");
  if (elements() == 0) return;
  if (is_contiguous()) {
    storage_->read(static_cast<std::uint64_t>(offset_) * item_size(dtype_), out);
  } else {
    storage_->prepare(0, storage_->size_bytes());
    gather(0, out);
  }
  resolve_lazy_bits(out);
}

std::vector<std::byte> Tensor::to_bytes() const {
  std::vector<std::byte> bytes(size_bytes());
  read(bytes);
  return bytes;
}

void Tensor::for_each_chunk(std::size_t chunk_bytes,
                            const std::function<void(Bytes)>& visit) const {
  const std::uint64_t total = size_bytes();
  const Bytes here = in_place();
  std::vector<std::byte> buffer(here.empty() ? std::min<std::uint64_t>(chunk_bytes, total) : 0);
  const bool in_order = is_contiguous();
  const std::uint64_t width = item_size(dtype_);
  const std::uint64_t base = static_cast<std::uint64_t>(offset_) * width;
  // Elements may come from anywhere in it.
  if (!in_order && total > 0) storage_->prepare(0, storage_->size_bytes());
  for (std::uint64_t done = 0; done < total;) {
    const auto length = std::min<std::uint64_t>(chunk_bytes, total - done);
    if (!here.empty()) {
      storage_->prepare(base + done, length);
      visit(here.subspan(done, length));
    } else {
      const MutableBytes piece = std::span(buffer).first(length);
      if (in_order) {
        storage_->read(base + done, piece);
      } else {
        gather(static_cast<std::int64_t>(done / width), piece);
      }
      resolve_lazy_bits(piece);
      visit(piece);
    }
    done += length;
  }
}

Digest Tensor::digest() const {
  Sha256 hash;
  for_each_chunk(1 << 20, [&](Bytes piece) { hash.update(piece); });
  return hash.finish();
}

// Copies the logical elements first, first + 1, ... (row-major) into `out`.
void Tensor::gather(std::int64_t first, MutableBytes out) const {
  const std::size_t width = item_size(dtype_);
  const Bytes base = storage_->in_place();
  // Position of `first` as one index per dimension.
  Shape index(shape().size());
  std::int64_t rest = first;
  std::int64_t position = offset_;
  for (std::size_t d = shape().size(); d-- > 0;) {
    index[d] = rest % shape()[d];
    rest /= shape()[d];
    position += index[d] * strides()[d];
  }
  for (std::size_t written = 0; written < out.size(); written += width) {
    const auto from = static_cast<std::uint64_t>(position) * width;
    if (base.empty()) {
      storage_->read(from, out.subspan(written, width));
    } else {
      std::memcpy(out.data() + written, base.data() + from, width);
    }
    for (std::size_t d = shape().size(); d-- > 0;) {
      position += strides()[d];
      if (++index[d] < shape()[d]) break;
      position -= strides()[d] * shape()[d];
      index[d] = 0;
    }
  }
}

void Tensor::resolve_lazy_bits(MutableBytes values) const {
  if (!conjugated_ && !negated_) return;
  const std::size_t width = item_size(dtype_);
  if (is_complex(dtype_)) {
    const std::size_t part = width / 2;
    // Negated and conjugated: the real part flips, the imaginary one flips twice.
    if (negated_) flip_signs(values, 0, width, part);
    if (negated_ != conjugated_) flip_signs(values, part, width, part);
  } else if (is_floating(dtype_)) {
    flip_signs(values, 0, width, width);
  } else if (width == 8) {
    negate_integers<std::uint64_t>(values);
  } else if (width == 4) {
    negate_integers<std::uint32_t>(values);
  } else if (width == 2) {
    negate_integers<std::uint16_t>(values);
  } else {
    negate_integers<std::uint8_t>(values);
  }
}

}  // namespace reprise
