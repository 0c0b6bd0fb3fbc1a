// A growable run of trivial values that moves by pages, not by copies.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <span>
#include <type_traits>

namespace reprise::pickle {

// The machine's stacks: std::vector checks and moves more than this inner loop can
// afford, and keeps two copies while it grows. Indexing and pop are unchecked.
template <typename T>
class Pile {
 public:
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
  Pile() = default;
  Pile(const Pile&) = delete;
  Pile& operator=(const Pile&) = delete;
  ~Pile() { std::free(data_); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t reserved_bytes() const { return capacity_ * sizeof(T); }
  bool full() const { return size_ == capacity_; }
  T& operator[](std::size_t i) { return data_[i]; }
  T& back() { return data_[size_ - 1]; }
  std::span<T> from(std::size_t first) { return {data_ + first, size_ - first}; }

  // The caller has made room: full() is false.
  void push(const T& item) { new (data_ + size_++) T(item); }
  void pop() { --size_; }
  void truncate(std::size_t size) { size_ = size; }

  // Doubles the capacity.
  void grow() {
    const std::size_t capacity = capacity_ == 0 ? 64 : capacity_ * 2;
    void* moved = std::realloc(static_cast<void*>(data_), capacity * sizeof(T));
    if (moved == nullptr) throw std::bad_alloc();
    data_ = static_cast<T*>(moved);
    capacity_ = capacity;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace reprise::pickle
