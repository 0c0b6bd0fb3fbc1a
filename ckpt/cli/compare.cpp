#include "ckpt/cli/compare.h"

#include "ckpt/cli/elements.h"
#include "ckpt/cli/tensor_bytes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace reprise::cli {

namespace {

constexpr std::size_t kPiece = 1u << 20;  // elements

std::vector<std::int64_t> index_of(std::int64_t element, const Shape& shape) {
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t d = shape.size(); d-- > 0;) {
    index[d] = element % shape[d];
    element /= shape[d];
  }
  return index;
}

void measure(double a, double b, Difference& difference) {
  const bool special = !std::isfinite(a) || !std::isfinite(b);
  const bool alike = a == b || (std::isnan(a) && std::isnan(b));
  const double abs = alike     ? 0
                     : special ? std::numeric_limits<double>::infinity()
                               : std::abs(a - b);
  difference.max_abs = std::max(difference.max_abs, abs);
  const double larger = std::max(std::abs(a), std::abs(b));
  const double rel = abs == 0 ? 0 : special ? abs : abs / larger;
  difference.max_rel = std::max(difference.max_rel, rel);
}

}  // namespace

Difference compare(const Tensor& a, const Tensor& b) {
  Difference difference;
  difference.same_dtype = a.dtype() == b.dtype();
  difference.same_shape = a.shape() == b.shape();
  difference.equal = difference.same_dtype && difference.same_shape;
  if (!difference.same_shape) return difference;

  const TensorBytes a_values(a);
  const TensorBytes b_values(b);
  const std::size_t a_width = item_size(a.dtype());
  const std::size_t b_width = item_size(b.dtype());
  const std::size_t parts = components(a.dtype());
  const auto elements = static_cast<std::size_t>(a.elements());
  // A complex and a real tensor have nothing to be measured by.
  const bool measurable = parts == components(b.dtype());
  const std::size_t part_width = a_width / parts;
  std::vector<double> a_numbers;
  std::vector<double> b_numbers;
  for (std::size_t first = 0; first < elements && measurable; first += kPiece) {
    const std::size_t count = std::min(kPiece, elements - first);
    const Bytes x = a_values.bytes().subspan(first * a_width, count * a_width);
    const Bytes y = b_values.bytes().subspan(first * b_width, count * b_width);
    if (difference.same_dtype && std::memcmp(x.data(), y.data(), x.size()) == 0) continue;
    to_doubles(a.dtype(), x, a_numbers);
    to_doubles(b.dtype(), y, b_numbers);
    for (std::size_t i = 0; i < a_numbers.size(); ++i) {
      const bool differs =
          difference.same_dtype
              ? std::memcmp(x.data() + i * part_width, y.data() + i * part_width, part_width) != 0
              : a_numbers[i] != b_numbers[i] &&
                    !(std::isnan(a_numbers[i]) && std::isnan(b_numbers[i]));
      if (!differs) continue;
      if (difference.differing == 0) {
        difference.first_index = index_of(static_cast<std::int64_t>(first + i / parts), a.shape());
      }
      ++difference.differing;
      difference.equal = false;
      measure(a_numbers[i], b_numbers[i], difference);
      if (difference.same_dtype) {
        std::uint64_t ulp = ulp_distance(a.dtype(), x, y, i);
        // 64-bit integers are more precise than the doubles they were compared as.
        if (difference.max_abs == 0 && ulp > 0 && !is_floating(a.dtype()) &&
            !is_complex(a.dtype())) {
          difference.max_abs = static_cast<double>(ulp);
        }
        difference.max_ulp = std::max(difference.max_ulp, ulp);
      }
    }
  }
  return difference;
}

}  // namespace reprise::cli
