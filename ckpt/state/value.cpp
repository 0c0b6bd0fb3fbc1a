#include "ckpt/state/value.h"

#include "ckpt/base/error.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <new>

namespace reprise {

namespace {

constexpr std::size_t kLargestBlock = 1u << 20;
constexpr std::size_t kHugePage = 2u << 20;
constexpr std::size_t kHugeBlock = 2 * kHugePage;
constexpr std::uint64_t kHugeBlocksFrom = 16u << 20;
// From this size on a run has a block of its own; below it, runs share blocks.
constexpr std::size_t kLargeRun = 1u << 16;
// Before such a run: where it is among the large ones. Keeps it aligned to 16.
constexpr std::size_t kLargeHeader = 16;

}  // namespace

void Value::wrong_kind() { fail(Code::kInternal, "a Value was read as another kind than it is"); }

bool Value::as_bool() const {
  if (kind_ != Kind::kBool) wrong_kind();
  return integer_ != 0;
}

std::int64_t Value::as_int() const {
  if (kind_ != Kind::kInt) wrong_kind();
  return integer_;
}

double Value::as_float() const {
  if (kind_ != Kind::kFloat) wrong_kind();
  return real_;
}

std::complex<double> Value::as_complex() const {
  if (kind_ != Kind::kComplex) wrong_kind();
  return *static_cast<const std::complex<double>*>(pointer_);
}

Bytes Value::as_bytes() const {
  if (kind_ != Kind::kBytes && kind_ != Kind::kByteArray && kind_ != Kind::kBigInt) wrong_kind();
  return {static_cast<const std::byte*>(pointer_), length_};
}

std::string_view Value::as_global() const {
  if (kind_ != Kind::kGlobal) wrong_kind();
  return {static_cast<const char*>(pointer_), length_};
}

TensorNode& Value::as_tensor() const {
  if (kind_ != Kind::kTensor) wrong_kind();
  return *static_cast<TensorNode*>(const_cast<void*>(pointer_));
}

RecordNode& Value::as_record() const {
  if (kind_ != Kind::kRecord) wrong_kind();
  return *static_cast<RecordNode*>(const_cast<void*>(pointer_));
}

OpaqueNode& Value::as_opaque() const {
  if (kind_ != Kind::kOpaque) wrong_kind();
  return *static_cast<OpaqueNode*>(const_cast<void*>(pointer_));
}

std::optional<bool> Value::if_bool() const {
  return kind_ == Kind::kBool ? std::optional(integer_ != 0) : std::nullopt;
}

std::optional<std::int64_t> Value::if_int() const {
  return kind_ == Kind::kInt ? std::optional(integer_) : std::nullopt;
}

std::optional<double> Value::if_number() const {
  if (kind_ == Kind::kInt) return static_cast<double>(integer_);
  return kind_ == Kind::kFloat ? std::optional(real_) : std::nullopt;
}

std::optional<std::string_view> Value::if_string() const {
  return kind_ == Kind::kString ? std::optional(as_string()) : std::nullopt;
}

RecordNode* Value::if_record(RecordClass cls) const {
  if (kind_ != Kind::kRecord) return nullptr;
  RecordNode& node = as_record();
  return node.record_class == cls ? &node : nullptr;
}

const void* Value::identity() const {
  switch (kind_) {
    case Kind::kNone:
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kFloat: return nullptr;
    default: return pointer_;
  }
}

namespace {

constexpr std::uint64_t kWorkOfOneComparison = 1'000'000;
constexpr int kDeepestTupleKey = 100;

// Whether an integer and a double are the same number, without rounding either.
bool same_number(std::int64_t integer, double real) {
  // 2^63 is exact as a double; every double below it in magnitude converts exactly.
  if (!(real >= -9223372036854775808.0 && real < 9223372036854775808.0)) return false;
  const auto truncated = static_cast<std::int64_t>(real);
  return truncated == integer && static_cast<double>(truncated) == real;
}

std::optional<std::int64_t> integer_key(Value v) {
  if (const auto flag = v.if_bool()) return *flag ? 1 : 0;
  return v.if_int();
}

bool same_bytes(Bytes a, Bytes b, std::uint64_t& work) {
  if (a.size() != b.size()) return false;
  if (a.data() == b.data()) return true;
  work -= std::min<std::uint64_t>(work, a.size() / 64);
  return std::ranges::equal(a, b);
}

bool same_key_at(Value a, Value b, std::uint64_t& work, int depth) {
  if (work == 0 || depth > kDeepestTupleKey) {
    fail(Code::kUnsupported, "dict keys are tuples too large or too deep to compare");
  }
  --work;
  const auto x = integer_key(a), y = integer_key(b);
  if (x && y) return *x == *y;
  if (x && b.kind() == Kind::kFloat) return same_number(*x, b.as_float());
  if (y && a.kind() == Kind::kFloat) return same_number(*y, a.as_float());
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kNone: return true;
    case Kind::kFloat: return a.as_float() == b.as_float();
    case Kind::kComplex: return a.as_complex() == b.as_complex();
    case Kind::kString: return same_bytes(as_bytes(a.as_string()), as_bytes(b.as_string()), work);
    case Kind::kGlobal: return a.as_global() == b.as_global();
    case Kind::kBytes:
    case Kind::kBigInt: return same_bytes(a.as_bytes(), b.as_bytes(), work);
    case Kind::kTuple: {
      if (a.identity() == b.identity()) return true;
      const auto left = a.as_sequence().items.span();
      const auto right = b.as_sequence().items.span();
      if (left.size() != right.size()) return false;
      for (std::size_t i = 0; i < left.size(); ++i) {
        if (!same_key_at(left[i], right[i], work, depth + 1)) return false;
      }
      return true;
    }
    default: return a.identity() == b.identity();
  }
}

}  // namespace

bool same_key(Value a, Value b) {
  std::uint64_t work = kWorkOfOneComparison;
  return same_key_at(a, b, work, 0);
}

bool same_key(Value a, Value b, std::uint64_t& work) { return same_key_at(a, b, work, 0); }

const Value* DictNode::find(std::string_view key) const {
  for (const DictEntry& entry : entries) {
    if (entry.key.is_string() && entry.key.as_string() == key) return &entry.value;
  }
  return nullptr;
}

Value* DictNode::find(std::string_view key) {
  return const_cast<Value*>(std::as_const(*this).find(key));
}

const Value* DictNode::find(Value key) const {
  for (const DictEntry& entry : entries) {
    if (same_key(entry.key, key)) return &entry.value;
  }
  return nullptr;
}

Value DictNode::get(std::string_view key) const {
  const Value* found = find(key);
  return found == nullptr ? Value() : *found;
}

void DictNode::set(Arena& arena, std::string_view key, Value value) {
  if (Value* found = find(key)) {
    *found = value;
  } else {
    append(arena, key, value);
  }
}

void DictNode::set(Arena& arena, Value key, Value value) {
  if (const Value* found = find(key)) {
    *const_cast<Value*>(found) = value;
  } else {
    append(arena, key, value);
  }
}

void DictNode::append(Arena& arena, Value key, Value value) {
  entries.push_back(arena, {key, value});
}

void DictNode::append(Arena& arena, std::string_view key, Value value) {
  append(arena, arena.string(key), value);
}

bool DictNode::erase(std::string_view key) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].key.is_string() && entries[i].key.as_string() == key) {
      entries.erase(i);
      return true;
    }
  }
  return false;
}

Arena::Arena() = default;

Arena::~Arena() {
  for (TensorNode* node : tensors_) node->~TensorNode();
}

void Arena::Release::operator()(void* block) const { std::free(block); }

void Arena::reserve_bytes(std::size_t size) {
  if (size > limit_bytes_ - std::min(limit_bytes_, reserved_bytes_)) {
    fail(Code::kCorrupt,
         "the objects in the file need more than {} bytes of memory, far more than its size "
         "justifies; it is damaged or made to exhaust memory",
         limit_bytes_);
  }
  reserved_bytes_ += size;
}

void* Arena::allocate_large(std::size_t size) {
  reserve_bytes(size);
  Block block(std::malloc(size + kLargeHeader));
  if (block == nullptr) throw std::bad_alloc();
  *static_cast<std::size_t*>(block.get()) = large_.size();
  large_.push_back(std::move(block));
  return static_cast<std::byte*>(large_.back().get()) + kLargeHeader;
}

void* Arena::allocate_block(std::size_t size, std::size_t alignment) {
  if (size > std::numeric_limits<std::size_t>::max() / 4) throw std::bad_alloc();
  if (size >= kLargeRun) return allocate_large(size);
  // A large tree costs more in page faults than in parsing: from some size on, ask for
  // huge pages, which the small trees of most files would waste.
  const bool huge = reserved_bytes_ >= kHugeBlocksFrom;
  const std::size_t block_bytes = huge ? kHugeBlock : std::max(next_block_bytes_, size + alignment);
  reserve_bytes(block_bytes);
  Block block(huge ? std::aligned_alloc(kHugePage, block_bytes) : std::malloc(block_bytes));
  if (block == nullptr) throw std::bad_alloc();
  if (huge) madvise(block.get(), block_bytes, MADV_HUGEPAGE);
  cursor_ = static_cast<std::byte*>(block.get());
  block_end_ = cursor_ + block_bytes;
  blocks_.push_back(std::move(block));
  next_block_bytes_ = std::min(next_block_bytes_ * 2, kLargestBlock);
  return allocate(size, alignment);
}

void* Arena::grow(void* old, std::size_t old_size, std::size_t new_size, std::size_t alignment) {
  if (old_size >= kLargeRun) {
    // A run this large has a block of its own: the system moves pages, not bytes.
    auto* start = static_cast<std::byte*>(old) - kLargeHeader;
    const std::size_t index = *reinterpret_cast<std::size_t*>(start);
    reserve_bytes(new_size - old_size);
    void* moved = std::realloc(start, new_size + kLargeHeader);
    if (moved == nullptr) throw std::bad_alloc();
    (void)large_[index].release();
    large_[index].reset(moved);
    return static_cast<std::byte*>(moved) + kLargeHeader;
  }
  auto* end = static_cast<std::byte*>(old) + old_size;
  if (old != nullptr && end == cursor_ && new_size < kLargeRun &&
      new_size - old_size <= static_cast<std::size_t>(block_end_ - cursor_)) {
    cursor_ += new_size - old_size;
    return old;
  }
  // Never from what is left of a block: a large run is known by its size alone.
  void* run = new_size >= kLargeRun ? allocate_large(new_size) : allocate(new_size, alignment);
  if (old_size > 0) std::memcpy(run, old, old_size);
  return run;
}

void Arena::keep_alive(std::shared_ptr<const void> owner) { kept_.push_back(std::move(owner)); }

std::string_view Arena::copy(std::string_view text) {
  if (text.empty()) return {};
  char* place = static_cast<char*>(allocate(text.size(), 1));
  std::copy(text.begin(), text.end(), place);
  return {place, text.size()};
}

void Arena::refuse_text(std::size_t size) {
  fail(Code::kUnsupported, "a single string of {} bytes; at most 4 GiB are supported", size);
}

Value Arena::string(std::string_view text) { return borrowed_string(copy(text)); }

Value Arena::bytes(Bytes bytes) { return borrowed_bytes(reprise::as_bytes(copy(as_text(bytes)))); }

Value Arena::byte_array(Bytes bytes) {
  // At least one byte of its own, so that two empty ones differ in identity.
  auto* place = static_cast<std::byte*>(allocate(std::max<std::size_t>(bytes.size(), 1), 1));
  std::copy(bytes.begin(), bytes.end(), place);
  return text(Kind::kByteArray, place, bytes.size());
}

Value Arena::big_integer(Bytes little_endian) {
  Bytes digits = little_endian;
  // Drop bytes that only repeat the sign.
  while (digits.size() > 1) {
    const auto last = std::to_integer<unsigned>(digits.back());
    const bool sign_below = (std::to_integer<unsigned>(digits[digits.size() - 2]) & 0x80) != 0;
    if (last != (sign_below ? 0xFFu : 0u)) break;
    digits = digits.first(digits.size() - 1);
  }
  if (digits.size() <= 8) {
    const bool negative = !digits.empty() && (std::to_integer<unsigned>(digits.back()) & 0x80) != 0;
    std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
    if (!digits.empty()) std::memcpy(&value, digits.data(), digits.size());
    return Value::integer(static_cast<std::int64_t>(value));
  }
  const std::string_view kept = copy(as_text(digits));
  return text(Kind::kBigInt, kept.data(), kept.size());
}

Value Arena::complex(std::complex<double> value) {
  return node(Kind::kComplex, new (allocate(sizeof value, alignof(std::complex<double>)))
                                  std::complex<double>(value));
}

Value Arena::global(std::string_view name) {
  const std::string_view kept = copy(name);
  return text(Kind::kGlobal, kept.data(), kept.size());
}

Value Arena::sequence(Kind kind, std::span<const Value> items) {
  auto* sequence = new (allocate(sizeof(SequenceNode), alignof(SequenceNode))) SequenceNode;
  sequence->items.append(*this, items);
  return node(kind, sequence);
}

Value Arena::dict(DictClass dict_class) {
  auto* dict = new (allocate(sizeof(DictNode), alignof(DictNode))) DictNode;
  dict->dict_class = dict_class;
  return node(Kind::kDict, dict);
}

Value Arena::tensor(Tensor tensor) {
  TensorNode made;
  made.dtype = tensor.dtype();
  made.tensor = std::move(tensor);
  return tensor_node(std::move(made));
}

Value Arena::tensor_node(TensorNode made) {
  // Its vectors and rare parts live outside the arena's blocks, and count all the same.
  reserve_bytes(
      made.tensor.shape().size() * 2 * sizeof(std::int64_t) +
      (made.quantizer ? sizeof(Quantizer) : 0) +
      (made.other ? sizeof(OtherLayout) + made.other->shape.size() * sizeof(std::int64_t) : 0));
  auto* kept = new (allocate(sizeof(TensorNode), alignof(TensorNode))) TensorNode(std::move(made));
  tensors_.push_back(kept);
  return node(Kind::kTensor, kept);
}

Value Arena::record(RecordClass record_class, std::span<const Value> fields) {
  auto* record = new (allocate(sizeof(RecordNode), alignof(RecordNode))) RecordNode;
  record->record_class = record_class;
  record->fields.append(*this, fields);
  return node(Kind::kRecord, record);
}

Value Arena::opaque(Value global) {
  auto* opaque = new (allocate(sizeof(OpaqueNode), alignof(OpaqueNode))) OpaqueNode;
  opaque->name = global.as_global();
  return node(Kind::kOpaque, opaque);
}

Value Arena::opaque(std::string_view name) {
  auto* opaque = new (allocate(sizeof(OpaqueNode), alignof(OpaqueNode))) OpaqueNode;
  opaque->name = copy(name);
  return node(Kind::kOpaque, opaque);
}

}  // namespace reprise
