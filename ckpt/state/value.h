// An inert tree: what a checkpoint file says, with nothing executed.
//
// A Value is a 16-byte handle. The nodes behind it live in an Arena and die with
// it, all at once: recursive structures need no cycle collection, and a list
// nested a million deep is freed without recursion. Nodes are shared by handle, so
// identity is kept: two handles to one list see the same list.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/state/tensor.h"

#include <algorithm>
#include <complex>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace reprise {

enum class Kind : std::uint8_t {
  kNone,
  kBool,
  kInt,     // fits 64 bits
  kBigInt,  // any size, little-endian two's complement bytes
  kFloat,
  kComplex,
  kString,  // UTF-8 (lone surrogates as their three-byte form)
  kBytes,
  kByteArray,  // mutable in Python: has identity
  kList,
  kTuple,
  kSet,
  kFrozenSet,
  kDict,  // every dict-like class, see DictClass
  kTensor,
  kRecord,  // a library value with a known meaning, see RecordClass
  kGlobal,  // a class or function, by name, never resolved
  kOpaque,  // a construction that is recorded, not made
};

enum class DictClass : std::uint8_t { kDict, kOrderedDict, kDefaultDict, kCounter, kNamespace };

// What a Record's `fields` hold is written beside each class.
enum class RecordClass : std::uint8_t {
  kSize,          // torch.Size: (int, ...)
  kDevice,        // torch.device: (string), "cuda:1"
  kTorchDType,    // torch.float32: (string), "float32"
  kLayout,        // torch.strided: (string), "strided"
  kMemoryFormat,  // torch.contiguous_format: (string)
  kStorage,       // a bare storage: (1-d tensor over all of it)
  kNumpyDType,    // numpy.dtype: (description), a string "<f4" or a list of [field, description]
  kNumpyScalar,   // (dtype description, bytes)
  kNumpyArray,    // (dtype description, shape tuple, bytes in C order); for dtype object
                  // (description, shape, list of items)
  kDateTime,      // (ISO 8601 text)
  kDate,          // (ISO 8601 text)
  kTime,          // (ISO 8601 text)
  kTimeDelta,     // (days, seconds, microseconds)
  kPath,          // (class name, parts tuple)
};

class Arena;
struct SequenceNode;
struct DictNode;
struct TensorNode;
struct RecordNode;
struct OpaqueNode;

// Trivially copyable. Valid while the Arena that made it lives. Reading is safe
// from several threads as long as nobody writes.
// Errors: an accessor called on another kind throws kInternal; use kind() or the
// if_...() forms on values out of a file.
class Value {
 public:
  Value() = default;  // none
  static Value boolean(bool value) {
    Value v;
    v.kind_ = Kind::kBool;
    v.integer_ = value ? 1 : 0;
    return v;
  }
  static Value integer(std::int64_t value) {
    Value v;
    v.kind_ = Kind::kInt;
    v.integer_ = value;
    return v;
  }
  static Value real(double value) {
    Value v;
    v.kind_ = Kind::kFloat;
    v.real_ = value;
    return v;
  }

  Kind kind() const { return kind_; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_dict() const { return kind_ == Kind::kDict; }
  bool is_tensor() const { return kind_ == Kind::kTensor; }
  bool is_sequence() const { return kind_ >= Kind::kList && kind_ <= Kind::kFrozenSet; }

  bool as_bool() const;
  std::int64_t as_int() const;
  double as_float() const;
  std::complex<double> as_complex() const;
  std::string_view as_string() const {  // kString
    if (kind_ != Kind::kString) wrong_kind();
    return {static_cast<const char*>(pointer_), length_};
  }
  Bytes as_bytes() const;              // kBytes, kByteArray, kBigInt
  std::string_view as_global() const;  // kGlobal, "module.qualified_name"
  SequenceNode& as_sequence() const {  // kList, kTuple, kSet, kFrozenSet
    if (!is_sequence()) wrong_kind();
    return *static_cast<SequenceNode*>(const_cast<void*>(pointer_));
  }
  DictNode& as_dict() const {
    if (kind_ != Kind::kDict) wrong_kind();
    return *static_cast<DictNode*>(const_cast<void*>(pointer_));
  }
  TensorNode& as_tensor() const;
  RecordNode& as_record() const;
  OpaqueNode& as_opaque() const;

  std::optional<bool> if_bool() const;
  std::optional<std::int64_t> if_int() const;  // kInt only; a bool is no int here
  std::optional<double> if_number() const;     // kInt or kFloat
  std::optional<std::string_view> if_string() const;
  DictNode* if_dict() const { return kind_ == Kind::kDict ? &as_dict() : nullptr; }
  TensorNode* if_tensor() const { return kind_ == Kind::kTensor ? &as_tensor() : nullptr; }
  OpaqueNode* if_opaque() const { return kind_ == Kind::kOpaque ? &as_opaque() : nullptr; }
  RecordNode* if_record(RecordClass cls) const;

  // Address of the node, equal for two handles to one node; nullptr for values
  // that have no identity (none, bool, int, float).
  const void* identity() const;

 private:
  friend class Arena;
  [[noreturn]] static void wrong_kind();
  Kind kind_ = Kind::kNone;
  std::uint32_t length_ = 0;  // of text and bytes
  union {
    std::int64_t integer_ = 0;
    double real_;
    const void* pointer_;
  };
};
static_assert(sizeof(Value) == 16);

// Equal as dict keys are in Python: by value for plain ones (1 == 1.0 == True), tuples
// by their items; by identity for everything else.
// Errors: kUnsupported when tuples inside tuples need more comparisons than any real key.
bool same_key(Value a, Value b);
// As above; takes the comparisons it makes out of `work`, of which a reader of untrusted
// files has a limited amount for a whole file.
bool same_key(Value a, Value b, std::uint64_t& work);

// A growing run of values in an arena. Indexing is unchecked.
template <typename T>
class ArenaVector {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T& back() { return data_[size_ - 1]; }
  void push_back(Arena& arena, const T& item);
  void append(Arena& arena, std::span<const T> items);
  void reserve(Arena& arena, std::size_t capacity);
  void erase(std::size_t index);
  void truncate(std::size_t size) { size_ = static_cast<std::uint32_t>(size); }
  std::span<const T> span() const { return {data_, size_}; }

 private:
  static_assert(std::is_trivially_copyable_v<T>, "runs move as bytes");
  void grow(Arena& arena, std::size_t needed);
  T* data_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
};

struct SequenceNode {
  ArenaVector<Value> items;
};

struct DictEntry {
  Value key;
  Value value;
};

// A mapping in insertion order.
struct DictNode {
  DictClass dict_class = DictClass::kDict;
  ArenaVector<DictEntry> entries;
  Value factory;     // kDefaultDict: what makes missing values
  Value attributes;  // dict of Python attributes (`_metadata` of a state dict), or none

  // The value of a key, or nullptr. Linear in the number of entries.
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);
  const Value* find(Value key) const;
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  // The value of a key, or none.
  Value get(std::string_view key) const;
  // Replaces in place or appends; linear.
  void set(Arena& arena, std::string_view key, Value value);
  void set(Arena& arena, Value key, Value value);
  // Appends; the caller knows that the key is new. Constant time.
  void append(Arena& arena, Value key, Value value);
  void append(Arena& arena, std::string_view key, Value value);
  bool erase(std::string_view key);
};

enum class TensorLayout : std::uint8_t {
  kStrided,
  kSparseCoo,
  kSparseCsr,
  kSparseCsc,
  kSparseBsr,
  kSparseBsc,
  kMeta
};

// How integers of a quantized tensor become numbers.
struct Quantizer {
  bool per_channel = false;
  double scale = 1;
  std::int64_t zero_point = 0;
  std::int64_t axis = 0;
  Value scales;  // tensors, per channel
  Value zero_points;
};

// What tensors have that are not strided.
struct OtherLayout {
  Shape shape;
  bool coalesced = false;                // kSparseCoo
  Value indices, plain_indices, values;  // tensors (compressed layouts: compressed, plain)
};

// A tensor as pickled: the strided values, and what PyTorch keeps around them. Files have
// hundreds of thousands of these, so what is rare in them lies elsewhere.
struct TensorNode {
  Tensor tensor;  // kStrided only
  TensorLayout layout = TensorLayout::kStrided;
  bool parameter = false;  // torch.nn.Parameter
  bool requires_grad = false;
  DType dtype = DType::kFloat32;
  std::string_view python_class;               // of a subclass, else empty
  Value attributes;                            // dict of Python attributes, or none
  std::shared_ptr<const Quantizer> quantizer;  // nullptr for most
  std::shared_ptr<const OtherLayout> other;    // nullptr for kStrided, never for others

  const Shape& shape() const { return other ? other->shape : tensor.shape(); }
};

struct RecordNode {
  RecordClass record_class = RecordClass::kSize;
  ArenaVector<Value> fields;
};

// A call or an object of a class that the reader does not interpret.
struct OpaqueNode {
  std::string_view name;           // "module.qualified_name"
  Value args;                      // tuple, or none
  Value kwargs;                    // dict, or none
  Value state;                     // what BUILD set, or none
  bool has_state = false;          // BUILD may set None
  ArenaVector<Value> items;        // appended
  ArenaVector<DictEntry> entries;  // set
};

// Owns nodes and text. Not thread-safe for making; reading needs no lock.
// Memory is handed out in growing blocks and returned when the arena dies.
class Arena {
 public:
  Arena();
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Raw memory that lives as long as the arena. Never returns nullptr.
  // Errors: kCorrupt beyond the limit of set_limit().
  void* allocate(std::size_t size, std::size_t alignment) {
    const auto aligned = align_up(reinterpret_cast<std::uintptr_t>(cursor_), alignment);
    if (cursor_ != nullptr && aligned + size <= reinterpret_cast<std::uintptr_t>(block_end_)) {
      cursor_ = reinterpret_cast<std::byte*>(aligned) + size;
      return reinterpret_cast<void*>(aligned);
    }
    return allocate_block(size, alignment);
  }
  // A larger run that begins with the bytes of `old` (from allocate() or grow(), aligned
  // to 16 at most). Large runs move without being copied; a small one is left behind.
  void* grow(void* old, std::size_t old_size, std::size_t new_size, std::size_t alignment);
  // Bytes taken from the system so far.
  std::uint64_t reserved_bytes() const { return reserved_bytes_; }
  // From now on, taking more than `bytes` in all from the system is an error: a reader
  // of untrusted files sets what their size justifies.
  void set_limit(std::uint64_t bytes) { limit_bytes_ = bytes; }
  std::uint64_t limit_bytes() const { return limit_bytes_; }
  // Keeps `owner` alive as long as the arena: for text that is not copied.
  void keep_alive(std::shared_ptr<const void> owner);

  std::string_view copy(std::string_view text);

  Value string(std::string_view text);            // copies
  Value borrowed_string(std::string_view text) {  // does not: see keep_alive()
    return this->text(Kind::kString, text.data(), text.size());
  }
  Value bytes(Bytes bytes);
  Value borrowed_bytes(Bytes bytes) { return text(Kind::kBytes, bytes.data(), bytes.size()); }
  Value byte_array(Bytes bytes);
  Value big_integer(Bytes little_endian);  // kInt when it fits 64 bits
  Value complex(std::complex<double> value);
  Value global(std::string_view name);
  Value sequence(Kind kind, std::span<const Value> items = {});
  Value list(std::span<const Value> items = {}) { return sequence(Kind::kList, items); }
  Value tuple(std::span<const Value> items = {}) { return sequence(Kind::kTuple, items); }
  Value dict(DictClass dict_class = DictClass::kDict);
  Value tensor(Tensor tensor);
  Value tensor_node(TensorNode node);
  Value record(RecordClass record_class, std::span<const Value> fields);
  Value opaque(std::string_view name);
  Value opaque(Value global);  // shares the global's text, which is in this arena

 private:
  static Value node(Kind kind, const void* node) {
    Value value;
    value.kind_ = kind;
    value.pointer_ = node;
    return value;
  }
  static Value text(Kind kind, const void* data, std::size_t size) {
    if (size > 0xFFFFFFFFu) refuse_text(size);
    Value value;
    value.kind_ = kind;
    value.length_ = static_cast<std::uint32_t>(size);
    value.pointer_ = data;
    return value;
  }
  [[noreturn]] static void refuse_text(std::size_t size);
  void* allocate_block(std::size_t size, std::size_t alignment);
  void* allocate_large(std::size_t size);
  void reserve_bytes(std::size_t size);

  // A block of the system's allocator, which can be enlarged in place.
  struct Release {
    void operator()(void* block) const;
  };
  using Block = std::unique_ptr<void, Release>;
  std::vector<Block> blocks_;
  std::vector<Block> large_;  // each holds one run, after its index in this vector
  std::byte* cursor_ = nullptr;
  std::byte* block_end_ = nullptr;
  std::size_t next_block_bytes_ = 4096;
  std::uint64_t reserved_bytes_ = 0;
  std::uint64_t limit_bytes_ = ~std::uint64_t{0};
  std::vector<TensorNode*> tensors_;  // the only nodes with destructors
  std::vector<std::shared_ptr<const void>> kept_;
};

template <typename T>
void ArenaVector<T>::reserve(Arena& arena, std::size_t capacity) {
  if (capacity <= capacity_) return;
  data_ =
      static_cast<T*>(arena.grow(data_, capacity_ * sizeof(T), capacity * sizeof(T), alignof(T)));
  capacity_ = static_cast<std::uint32_t>(capacity);
}

template <typename T>
void ArenaVector<T>::grow(Arena& arena, std::size_t needed) {
  reserve(arena, std::max<std::size_t>({needed, std::size_t{capacity_} * 2, 4}));
}

template <typename T>
void ArenaVector<T>::push_back(Arena& arena, const T& item) {
  if (size_ == capacity_) {
    const T copy = item;  // `item` may lie in the run that is about to move
    grow(arena, std::size_t{size_} + 1);
    new (data_ + size_++) T(copy);
    return;
  }
  new (data_ + size_++) T(item);
}

template <typename T>
void ArenaVector<T>::append(Arena& arena, std::span<const T> items) {
  if (items.empty()) return;
  if (size_ + items.size() > capacity_) {
    // The first batch of an object is most often its only one: no slack for it.
    capacity_ == 0 ? reserve(arena, items.size()) : grow(arena, size_ + items.size());
  }
  std::memcpy(static_cast<void*>(data_ + size_), items.data(), items.size_bytes());
  size_ += static_cast<std::uint32_t>(items.size());
}

template <typename T>
void ArenaVector<T>::erase(std::size_t index) {
  for (std::size_t i = index + 1; i < size_; ++i) data_[i - 1] = data_[i];
  --size_;
}

// Limits what an arena may take from the system while this lives: what is allocated now
// and `bytes` more, or less where a limit is set already.
class ArenaLimit {
 public:
  ArenaLimit(Arena& arena, std::uint64_t bytes) : arena_(arena), before_(arena.limit_bytes()) {
    arena.set_limit(std::min(before_, arena.reserved_bytes() + bytes));
  }
  ~ArenaLimit() { arena_.set_limit(before_); }
  ArenaLimit(const ArenaLimit&) = delete;
  ArenaLimit& operator=(const ArenaLimit&) = delete;

 private:
  Arena& arena_;
  std::uint64_t before_;
};

// A file's content together with the memory it lives in.
struct Document {
  std::shared_ptr<Arena> arena = std::make_shared<Arena>();
  Value root;

  // Where it came from, for messages and reports.
  std::string path;
  std::string
      container;  // "hdf5", "pth-zip", "pth-legacy", "pth-tar", "torchscript", "safetensors"
};

}  // namespace reprise
