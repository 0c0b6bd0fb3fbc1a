// Byte spans, overflow-checked arithmetic and little-endian access.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace reprise {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

static_assert(std::endian::native == std::endian::little,
              "every format here is little-endian and read in place");

inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// a + b and a * b, or nothing when the result does not fit. For every sum and
// product in which a number out of a file takes part.
template <std::integral T>
std::optional<T> checked_add(T a, T b) {
  T sum;
  return __builtin_add_overflow(a, b, &sum) ? std::nullopt : std::optional<T>(sum);
}

template <std::integral T>
std::optional<T> checked_multiply(T a, T b) {
  T product;
  return __builtin_mul_overflow(a, b, &product) ? std::nullopt : std::optional<T>(product);
}

// Whether [offset, offset + length) lies in [0, size), whatever the values.
constexpr bool fits(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  return offset <= size && length <= size - offset;
}

// The smallest multiple of `alignment` (a power of two) that is >= value.
constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

// The little-endian number at `p`, at any alignment. The caller has checked the bounds.
template <typename T>
requires std::is_trivially_copyable_v<T> T load_little(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

template <typename T>
requires std::is_trivially_copyable_v<T>
void store_little(std::byte* p, T value) { std::memcpy(p, &value, sizeof value); }

}  // namespace reprise
