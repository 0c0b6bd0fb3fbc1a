#include "ckpt/cli/mean_storage.h"

#include "ckpt/base/error.h"
#include "ckpt/cli/elements.h"

#include <algorithm>

namespace reprise::cli {

namespace {

class MeanStorage final : public Storage {
 public:
  explicit MeanStorage(std::vector<Tensor> tensors) : tensors_(std::move(tensors)) {}

  std::uint64_t size_bytes() const override { return tensors_.front().size_bytes(); }

  void read(std::uint64_t offset, MutableBytes out) const override {
    const DType dtype = tensors_.front().dtype();
    const std::size_t width = item_size(dtype);
    if (offset % width != 0 || out.size() % width != 0) {
      // A reader that cuts elements gets its piece out of whole ones.
      const std::uint64_t first = offset / width * width;
      const std::uint64_t last =
          std::min(size_bytes(), (offset + out.size() + width - 1) / width * width);
      std::vector<std::byte> whole(last - first);
      read(first, whole);
      std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(offset - first), out.size(),
                  out.begin());
      return;
    }
    constexpr std::size_t kPieceElements = 1u << 16;
    for (std::size_t done = 0; done < out.size();) {
      const std::size_t length = std::min(out.size() - done, kPieceElements * width);
      average(offset + done, out.subspan(done, length), dtype);
      done += length;
    }
  }

 private:
  void average(std::uint64_t offset, MutableBytes out, DType dtype) const {
    std::vector<double> sum;
    std::vector<double> numbers;
    std::vector<std::byte> piece(out.size());
    for (const Tensor& tensor : tensors_) {
      const std::uint64_t start = static_cast<std::uint64_t>(tensor.offset()) * item_size(dtype);
      tensor.storage()->read(start + offset, piece);
      to_doubles(dtype, piece, numbers);
      if (sum.empty()) {
        sum = numbers;
      } else {
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += numbers[i];
      }
    }
    const auto count = static_cast<double>(tensors_.size());
    for (double& value : sum) value /= count;
    from_doubles(dtype, sum, out);
  }

  std::vector<Tensor> tensors_;  // contiguous, without lazy bits
};

}  // namespace

Tensor mean_of(std::vector<Tensor> tensors) {
  const DType dtype = tensors.front().dtype();
  if (is_quantized(dtype) || dtype == DType::kFloat4E2M1FNx2) {
    fail(Code::kUnsupported, "{} values have no mean", name(dtype));
  }
  const Shape shape = tensors.front().shape();
  for (Tensor& tensor : tensors) {
    if (tensor.elements() > 0 &&
        (!tensor.is_contiguous() || tensor.conjugated() || tensor.negated())) {
      tensor = Tensor::contiguous(dtype, shape, owned_storage(tensor.to_bytes()));
    }
  }
  if (tensors.front().elements() == 0) return tensors.front();
  return Tensor::contiguous(dtype, shape, std::make_shared<MeanStorage>(std::move(tensors)));
}

}  // namespace reprise::cli
