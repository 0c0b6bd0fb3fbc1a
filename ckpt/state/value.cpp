#include "ckpt/state/value.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <limits>

namespace reprise {

namespace {

[[noreturn]] void wrong_kind() {
  fail(Code::kInternal, "a Value was read as another kind than it is");
}

constexpr std::size_t kLargestBlock = 1u << 20;

}  // namespace

Value Value::boolean(bool value) {
  Value v;
  v.kind_ = Kind::kBool;
  v.integer_ = value ? 1 : 0;
  return v;
}

Value Value::integer(std::int64_t value) {
  Value v;
  v.kind_ = Kind::kInt;
  v.integer_ = value;
  return v;
}

Value Value::real(double value) {
  Value v;
  v.kind_ = Kind::kFloat;
  v.real_ = value;
  return v;
}

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

std::string_view Value::as_string() const {
  if (kind_ != Kind::kString) wrong_kind();
  return {static_cast<const char*>(pointer_), length_};
}

Bytes Value::as_bytes() const {
  if (kind_ != Kind::kBytes && kind_ != Kind::kByteArray && kind_ != Kind::kBigInt) wrong_kind();
  return {static_cast<const std::byte*>(pointer_), length_};
}

std::string_view Value::as_global() const {
  if (kind_ != Kind::kGlobal) wrong_kind();
  return {static_cast<const char*>(pointer_), length_};
}

SequenceNode& Value::as_sequence() const {
  if (!is_sequence()) wrong_kind();
  return *static_cast<SequenceNode*>(const_cast<void*>(pointer_));
}

DictNode& Value::as_dict() const {
  if (kind_ != Kind::kDict) wrong_kind();
  return *static_cast<DictNode*>(const_cast<void*>(pointer_));
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
    case Kind::kFloat:
      return nullptr;
    default:
      return pointer_;
  }
}

bool same_key(Value a, Value b) {
  const auto number = [](Value v) -> std::optional<double> {
    if (const auto flag = v.if_bool()) return *flag ? 1.0 : 0.0;
    return v.if_number();
  };
  if (a.kind() == Kind::kInt && b.kind() == Kind::kInt) return a.as_int() == b.as_int();
  if (const auto x = number(a), y = number(b); x && y) return *x == *y;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kNone:
      return true;
    case Kind::kString:
      return a.as_string() == b.as_string();
    case Kind::kGlobal:
      return a.as_global() == b.as_global();
    case Kind::kBytes:
    case Kind::kBigInt:
      return std::ranges::equal(a.as_bytes(), b.as_bytes());
    case Kind::kTuple: {
      // Tuples as keys are short and flat in practice; identity settles recursive ones.
      if (a.identity() == b.identity()) return true;
      const auto x = a.as_sequence().items.span();
      const auto y = b.as_sequence().items.span();
      return x.size() == y.size() &&
             std::equal(x.begin(), x.end(), y.begin(), [](Value p, Value q) {
               return p.kind() == Kind::kTuple ? p.identity() == q.identity() : same_key(p, q);
             });
    }
    default:
      return a.identity() == b.identity();
  }
}

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

void* Arena::allocate(std::size_t size, std::size_t alignment) {
  if (size > std::numeric_limits<std::size_t>::max() / 4) throw std::bad_alloc();
  allocated_bytes_ += size;
  auto aligned = align_up(reinterpret_cast<std::uintptr_t>(cursor_), alignment);
  if (cursor_ == nullptr || aligned + size > reinterpret_cast<std::uintptr_t>(block_end_)) {
    // A large request gets a block of its own, and the open one stays open.
    if (size >= next_block_bytes_ / 2) {
      // new[] of bytes is aligned for every fundamental type, which is all we place here.
      blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(size));
      return blocks_.back().get();
    }
    blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(next_block_bytes_));
    cursor_ = blocks_.back().get();
    block_end_ = cursor_ + next_block_bytes_;
    next_block_bytes_ = std::min(next_block_bytes_ * 2, kLargestBlock);
    aligned = align_up(reinterpret_cast<std::uintptr_t>(cursor_), alignment);
  }
  auto* result = reinterpret_cast<std::byte*>(aligned);
  cursor_ = result + size;
  return result;
}

void Arena::keep_alive(std::shared_ptr<const void> owner) { kept_.push_back(std::move(owner)); }

std::string_view Arena::copy(std::string_view text) {
  if (text.empty()) return {};
  char* place = static_cast<char*>(allocate(text.size(), 1));
  std::copy(text.begin(), text.end(), place);
  return {place, text.size()};
}

Value Arena::text(Kind kind, const void* data, std::size_t size) {
  if (size > std::numeric_limits<std::uint32_t>::max()) {
    fail(Code::kUnsupported, "a single string of {} bytes; at most 4 GiB are supported", size);
  }
  Value value;
  value.kind_ = kind;
  value.length_ = static_cast<std::uint32_t>(size);
  value.pointer_ = data;
  return value;
}

template <typename Node>
Value Arena::node(Kind kind, Node* node) {
  Value value;
  value.kind_ = kind;
  value.pointer_ = node;
  return value;
}

Value Arena::string(std::string_view text) { return borrowed_string(copy(text)); }

Value Arena::borrowed_string(std::string_view text) {
  return this->text(Kind::kString, text.data(), text.size());
}

Value Arena::bytes(Bytes bytes) { return borrowed_bytes(reprise::as_bytes(copy(as_text(bytes)))); }

Value Arena::borrowed_bytes(Bytes bytes) { return text(Kind::kBytes, bytes.data(), bytes.size()); }

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
  sequence->items.reserve(*this, items.size());
  for (const Value& item : items) sequence->items.push_back(*this, item);
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
  made.shape = tensor.shape();
  made.tensor = std::move(tensor);
  return tensor_node(std::move(made));
}

Value Arena::tensor_node(TensorNode made) {
  auto* kept = new (allocate(sizeof(TensorNode), alignof(TensorNode))) TensorNode(std::move(made));
  tensors_.push_back(kept);
  return node(Kind::kTensor, kept);
}

Value Arena::record(RecordClass record_class, std::span<const Value> fields) {
  auto* record = new (allocate(sizeof(RecordNode), alignof(RecordNode))) RecordNode;
  record->record_class = record_class;
  record->fields.reserve(*this, fields.size());
  for (const Value& field : fields) record->fields.push_back(*this, field);
  return node(Kind::kRecord, record);
}

Value Arena::opaque(std::string_view name) {
  auto* opaque = new (allocate(sizeof(OpaqueNode), alignof(OpaqueNode))) OpaqueNode;
  opaque->name = copy(name);
  return node(Kind::kOpaque, opaque);
}

}  // namespace reprise
