#include "ckpt/pickle/keys.h"

#include "ckpt/base/error.h"
#include "ckpt/base/keyed_hash.h"

#include <bit>

namespace reprise::pickle {

namespace {

constexpr std::size_t kLinearSearch = 16;  // entries up to which comparing all is cheapest
constexpr std::size_t kKeptTable = 128;    // entries from which a table outlives its batch
constexpr int kDeepestTuple = 100;
constexpr std::uint32_t kFree = 0;  // slots hold an entry's index + 1

Value key_of(const DictEntry& entry) { return entry.key; }
Value key_of(const Value& item) { return item; }

}  // namespace

KeyTables::KeyTables(std::uint64_t work) : work_(work), seed_(random_hash_key()) {}
KeyTables::~KeyTables() = default;

void KeyTables::spend(std::uint64_t amount) {
  if (amount > work_) {
    fail(Code::kUnsupported,
         "comparing keys and converting text takes far longer than its size justifies; it "
         "is damaged or made to exhaust time");
  }
  work_ -= amount;
}

// Nearly all keys are strings: those are compared here, the rest as Python would.
bool KeyTables::equal(Value a, Value b) {
  if (!a.is_string() || !b.is_string()) return same_key(a, b, work_);
  const std::string_view left = a.as_string(), right = b.as_string();
  if (left.size() != right.size()) return false;
  if (left.data() == right.data()) return true;
  spend(left.size() / 64);
  return left == right;
}

std::uint64_t KeyTables::hash(Value key, int depth) {
  spend(1);
  const auto number = [&](std::uint64_t bits) { return fold(bits ^ seed_, 0xA0761D6478BD642Fu); };
  switch (key.kind()) {
    case Kind::kNone: return number(0x6E6F6E65);
    case Kind::kBool: return number(key.as_bool() ? 1 : 0);
    case Kind::kInt: return number(static_cast<std::uint64_t>(key.as_int()));
    case Kind::kFloat: {
      // A whole number hashes as the integer that it equals as a key.
      const double real = key.as_float();
      if (real >= -9223372036854775808.0 && real < 9223372036854775808.0) {
        const auto whole = static_cast<std::int64_t>(real);
        if (static_cast<double>(whole) == real) return number(static_cast<std::uint64_t>(whole));
      }
      return number(std::bit_cast<std::uint64_t>(real));
    }
    case Kind::kComplex: {
      const auto value = key.as_complex();
      return number(std::bit_cast<std::uint64_t>(value.real() + 0.0) ^
                    std::bit_cast<std::uint64_t>(value.imag() + 0.0) * 31);
    }
    case Kind::kString: {
      const std::string_view text = key.as_string();
      spend(text.size() / 64);
      return keyed_hash(as_bytes(text), seed_);
    }
    case Kind::kGlobal: return keyed_hash(as_bytes(key.as_global()), seed_ + 1);
    case Kind::kBytes:
    case Kind::kBigInt:
      spend(key.as_bytes().size() / 64);
      return keyed_hash(key.as_bytes(), seed_ + 2);
    case Kind::kTuple: {
      std::uint64_t state = number(0x7475706C65);
      if (depth == kDeepestTuple) return state;
      for (const Value item : key.as_sequence().items) {
        state = fold(state ^ hash(item, depth + 1), seed_ | 1);
      }
      return state;
    }
    default: return number(reinterpret_cast<std::uintptr_t>(key.identity()));
  }
}

// An open-addressing table of indexes into `entries`.
class KeyTables::Table {
 public:
  Table(KeyTables& owner, std::vector<std::uint32_t>& slots) : owner_(owner), slots_(slots) {}

  template <typename Entry>
  void rebuild(const ArenaVector<Entry>& entries, std::size_t expected) {
    const std::size_t wanted = std::bit_ceil(expected * 2);
    slots_.assign(wanted, kFree);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      std::size_t slot = owner_.hash(key_of(entries[i]), 0) & (wanted - 1);
      while (slots_[slot] != kFree) slot = (slot + 1) & (wanted - 1);
      slots_[slot] = static_cast<std::uint32_t>(i + 1);
    }
  }

  // The index of `key` in `entries`, or entries.size() after having noted that it
  // will be there.
  template <typename Entry>
  std::size_t find_or_add(const ArenaVector<Entry>& entries, Value key) {
    if (slots_.size() < (entries.size() + 1) * 2) rebuild(entries, (entries.size() + 1) * 2);
    std::size_t slot = owner_.hash(key, 0) & (slots_.size() - 1);
    for (; slots_[slot] != kFree; slot = (slot + 1) & (slots_.size() - 1)) {
      const std::size_t index = slots_[slot] - 1;
      if (owner_.equal(key_of(entries[index]), key)) return index;
    }
    slots_[slot] = static_cast<std::uint32_t>(entries.size() + 1);
    return entries.size();
  }

 private:
  KeyTables& owner_;
  std::vector<std::uint32_t>& slots_;
};

namespace {

void replace(DictEntry& entry, Value, Value value) { entry.value = value; }
void replace(Value&, Value, Value) {}
void append(Arena& arena, ArenaVector<DictEntry>& entries, Value key, Value value) {
  entries.push_back(arena, {key, value});
}
void append(Arena& arena, ArenaVector<Value>& entries, Value key, Value) {
  entries.push_back(arena, key);
}

}  // namespace

template <typename Entry>
void KeyTables::add_all(Arena& arena, ArenaVector<Entry>& entries, const void* owner,
                        std::span<const Value> items) {
  constexpr std::size_t kStep = std::is_same_v<Entry, DictEntry> ? 2 : 1;
  const std::size_t count = items.size() / kStep;
  const auto add_at = [&](std::size_t found, std::size_t i) {
    const Value key = items[i * kStep];
    const Value value = items[i * kStep + kStep - 1];
    if (found < entries.size()) {
      replace(entries[found], key, value);
    } else {
      append(arena, entries, key, value);
    }
  };
  // The first batch of an object is most often its only one: no slack for it.
  if (entries.empty()) entries.reserve(arena, count);
  if (entries.size() + count <= kLinearSearch) {
    for (std::size_t i = 0; i < count; ++i) {
      std::size_t found = 0;
      while (found < entries.size() && !equal(key_of(entries[found]), items[i * kStep])) {
        ++found;
      }
      add_at(found, i);
    }
    return;
  }
  const auto kept = tables_.find(owner);
  const bool keep = kept != tables_.end() || entries.size() + count >= kKeptTable;
  std::vector<std::uint32_t>& slots = kept != tables_.end() ? kept->second
                                      : keep                ? tables_[owner]
                                                            : scratch_;
  const std::size_t before = slots.capacity();
  Table table(*this, slots);
  if (kept == tables_.end()) table.rebuild(entries, entries.size() + count);
  for (std::size_t i = 0; i < count; ++i) add_at(table.find_or_add(entries, items[i * kStep]), i);
  if (keep)
    reserved_bytes_ += (slots.capacity() - before) * sizeof(std::uint32_t) + (before == 0 ? 96 : 0);
}

void KeyTables::add(Arena& arena, DictNode& dict, std::span<const Value> pairs) {
  add_all(arena, dict.entries, &dict, pairs);
}

void KeyTables::add(Arena& arena, SequenceNode& set, std::span<const Value> items) {
  add_all(arena, set.items, &set, items);
}

}  // namespace reprise::pickle
