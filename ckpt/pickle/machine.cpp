#include "ckpt/pickle/machine.h"

#include "ckpt/base/error.h"
#include "ckpt/pickle/builder.h"
#include "ckpt/pickle/opcodes.h"
#include "ckpt/pickle/pile.h"
#include "ckpt/pickle/python2_names.h"
#include "ckpt/pickle/text.h"

#include <algorithm>
#include <bit>
#include <string>
#include <unordered_map>

namespace reprise::pickle {

namespace {

constexpr std::uint64_t kMiB = 1u << 20;

// Beside what arena_limit() allows for the values.
std::uint64_t stack_limit(std::uint64_t size) {
  return 24 * kMiB + 40 * (size - std::min(size, kMiB));
}
// Views may repeat elements, and parameters come as two tensors over one storage; but a
// file cannot hold a few bytes and declare gigabytes.
std::uint64_t tensor_limit(std::uint64_t size) { return 64 * kMiB + 16 * size; }
std::uint64_t key_work_limit(std::uint64_t size) { return kMiB + 64 * size; }

std::uint64_t big_endian_64(const std::byte* p) {
  return __builtin_bswap64(load_little<std::uint64_t>(p));
}

class Machine {
 public:
  Machine(Arena& arena, Bytes bytes, const LoadOptions& options)
      : arena_(arena),
        begin_(bytes.data()),
        end_(bytes.data() + bytes.size()),
        options_(options),
        file_bytes_(std::max<std::uint64_t>(options.file_bytes, bytes.size())),
        keys_(key_work_limit(bytes.size())),
        builder_(arena, keys_, tensor_limit(file_bytes_)),
        stack_limit_(stack_limit(bytes.size())),
        limit_(arena, arena_limit(bytes.size())) {}

  Loaded run();

 private:
  // Reading arguments. `at` is just behind the opcode.
  void need(const std::byte* at, std::uint64_t size) const {
    if (static_cast<std::uint64_t>(end_ - at) < size) truncated(at, size);
  }
  [[noreturn]] void truncated(const std::byte* at, std::uint64_t size) const {
    fail(Code::kCorrupt, "{} bytes are needed, {} are left; the file is truncated or damaged", size,
         static_cast<std::uint64_t>(end_ - at));
  }
  template <typename Count>
  Bytes counted(const std::byte*& at) const {
    need(at, sizeof(Count));
    const std::uint64_t size = load_little<Count>(at);
    at += sizeof(Count);
    need(at, size);
    const Bytes content(at, size);
    at += size;
    return content;
  }
  std::string_view line(const std::byte*& at) const;

  // The stack.
  void push(Value value) {
    if (stack_.full()) make_room(stack_);
    stack_.push(value);
  }
  template <typename T>
  void make_room(Pile<T>& pile) {
    const std::uint64_t reserved = stack_.reserved_bytes() + marks_.reserved_bytes() +
                                   memo_.reserved_bytes() + sparse_memo_.size() * 64 +
                                   keys_.reserved_bytes();
    if (reserved + pile.reserved_bytes() > stack_limit_) exhausted();
    pile.grow();
  }
  [[noreturn]] static void exhausted() {
    fail(Code::kCorrupt,
         "the stack and memo need far more memory than the size of the file justifies; it is "
         "damaged or made to exhaust memory");
  }
  // Values above the innermost mark: what opcodes may take.
  std::size_t available() const { return stack_.size() - fence_; }
  void want(std::size_t values) const {
    if (available() < values) underflow();
  }
  [[noreturn]] static void underflow() {
    fail(Code::kCorrupt, "the stack holds fewer values than the opcode takes; the file is damaged");
  }
  Value pop() {
    want(1);
    const Value value = stack_.back();
    stack_.pop();
    return value;
  }
  Value& top() {
    want(1);
    return stack_.back();
  }
  // The innermost mark's place; the mark is gone, the values above it still there.
  std::size_t take_mark() {
    if (marks_.empty()) fail(Code::kCorrupt, "no MARK is on the stack; the file is damaged");
    const std::size_t place = marks_.back();
    marks_.pop();
    fence_ = marks_.empty() ? 0 : marks_.back();
    return place;
  }
  void replace_from(std::size_t place, Value value) {
    stack_.truncate(place);
    push(value);
  }

  void remember(std::uint64_t index, Value value);
  Value recall(std::uint64_t index) const;

  void push_text(Bytes bytes) {
    const std::string_view text = as_text(bytes);
    if (!is_utf8(text))
      fail(Code::kCorrupt, "a string is not UTF-8: '{}'; the file is damaged", printable(text, 40));
    push(arena_.borrowed_string(text));
  }
  void push_python2_text(std::string_view text) {
    // Python 2 did not tell text from bytes. What is not UTF-8 stays bytes: no letter is guessed.
    push(is_utf8(text) ? arena_.borrowed_string(text) : arena_.borrowed_bytes(as_bytes(text)));
  }
  Value global(std::string_view module, std::string_view name);
  void append_to(Value target, std::span<const Value> items);
  void set_in(Value target, std::span<const Value> pairs);
  void add_to(Value target, std::span<const Value> items);
  void persistent(Value id);
  Value instance(std::size_t place);

  Arena& arena_;
  const std::byte* begin_;
  const std::byte* end_;
  const LoadOptions& options_;
  std::uint64_t file_bytes_;
  KeyTables keys_;
  Builder builder_;
  std::uint64_t stack_limit_;
  ArenaLimit limit_;

  Pile<Value> stack_;
  Pile<std::size_t> marks_;
  std::size_t fence_ = 0;  // place of the innermost mark
  int protocol_ = 0;

  // Picklers number the memo from 0 (from 1 in Python 2) without holes: those live in a
  // run. Any other index goes to the map, so that an index of 4 billion costs nothing.
  Pile<Value> memo_;
  std::uint64_t memo_base_ = 0;
  std::unordered_map<std::uint64_t, Value> sparse_memo_;

  // One handle for each global met: pickles name the same few again and again.
  std::unordered_map<std::string_view, Value> globals_;
  std::string name_;
};

std::string_view Machine::line(const std::byte*& at) const {
  const void* feed = std::memchr(at, '\n', static_cast<std::size_t>(end_ - at));
  if (feed == nullptr)
    fail(Code::kCorrupt, "a line without an end; the file is truncated or damaged");
  const auto* stop = static_cast<const std::byte*>(feed);
  const std::string_view text = as_text({at, stop});
  at = stop + 1;
  return text;
}

void Machine::remember(std::uint64_t index, Value value) {
  if (memo_.empty() && sparse_memo_.empty() && index <= 1) memo_base_ = index;
  const std::uint64_t place = index - memo_base_;  // wraps for 0 after 1: sparse, as intended
  if (place < memo_.size()) {
    memo_[place] = value;
  } else if (place == memo_.size()) {
    if (memo_.full()) make_room(memo_);
    memo_.push(value);
    if (!sparse_memo_.empty()) sparse_memo_.erase(index);
  } else {
    if (sparse_memo_.size() * 64 > stack_limit_) exhausted();
    sparse_memo_[index] = value;
  }
}

Value Machine::recall(std::uint64_t index) const {
  const std::uint64_t place = index - memo_base_;
  if (place < memo_.size()) return const_cast<Pile<Value>&>(memo_)[place];
  const auto found = sparse_memo_.find(index);
  if (found == sparse_memo_.end()) {
    fail(Code::kCorrupt, "memo entry {} is used before it is set; the file is damaged", index);
  }
  return found->second;
}

Value Machine::global(std::string_view module, std::string_view name) {
  if (!is_utf8(module) || !is_utf8(name)) fail(Code::kCorrupt, "the name of a global is not UTF-8");
  // From protocol 3 on, Python writes its own names (and means them).
  const GlobalName now = protocol_ < 3 ? python3_name({module, name}) : GlobalName{module, name};
  name_.assign(now.module).append(".").append(now.name);
  const auto found = globals_.find(name_);
  if (found != globals_.end()) return found->second;
  const Value value = builder_.global(name_);
  const std::string_view key =
      value.kind() == Kind::kGlobal ? value.as_global() : arena_.copy(name_);
  globals_.emplace(key, value);
  return value;
}

void Machine::append_to(Value target, std::span<const Value> items) {
  if (target.kind() == Kind::kList) {
    target.as_sequence().items.append(arena_, items);
  } else if (OpaqueNode* opaque = target.if_opaque()) {
    opaque->items.append(arena_, items);
  } else {
    fail(Code::kCorrupt, "values are appended to what is no list; the file is damaged");
  }
}

void Machine::set_in(Value target, std::span<const Value> pairs) {
  if (pairs.size() % 2 != 0) fail(Code::kCorrupt, "a key without a value; the file is damaged");
  if (DictNode* dict = target.if_dict()) {
    keys_.add(arena_, *dict, pairs);
  } else if (OpaqueNode* opaque = target.if_opaque()) {
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
      opaque->entries.push_back(arena_, {pairs[i], pairs[i + 1]});
    }
  } else {
    fail(Code::kCorrupt, "entries are set in what is no dict; the file is damaged");
  }
}

void Machine::add_to(Value target, std::span<const Value> items) {
  if (target.kind() == Kind::kSet) {
    keys_.add(arena_, target.as_sequence(), items);
  } else if (OpaqueNode* opaque = target.if_opaque()) {
    opaque->items.append(arena_, items);
  } else {
    fail(Code::kCorrupt, "items are added to what is no set; the file is damaged");
  }
}

void Machine::persistent(Value id) {
  if (!options_.persistent_load) {
    fail(Code::kCorrupt, "a persistent id, which refers to something outside this pickle");
  }
  push(options_.persistent_load(id));
}

// INST and OBJ: an object of a class called with the values above the mark.
Value Machine::instance(std::size_t place) {
  const auto values = stack_.from(place);
  if (values.empty()) underflow();
  return builder_.call(values[0], arena_.tuple(values.subspan(1)));
}

Loaded Machine::run() {
  const std::byte* at = begin_;
  const std::byte* opcode_at = begin_;
  const auto dict_from = [&](std::size_t place) {
    const Value dict = arena_.dict();
    set_in(dict, stack_.from(place));
    return dict;
  };
  try {
    for (;;) {
      opcode_at = at;
      need(at, 1);
      const auto opcode = static_cast<Op>(*at++);
      switch (opcode) {
        case Op::kMark:
          if (marks_.full()) make_room(marks_);
          marks_.push(stack_.size());
          fence_ = stack_.size();
          break;
        case Op::kStop: return {pop(), static_cast<std::uint64_t>(at - begin_), protocol_};
        case Op::kPop:
          // A mark on top counts as a value, as in Python.
          if (available() == 0)
            take_mark();
          else
            stack_.pop();
          break;
        case Op::kPopMark: stack_.truncate(take_mark()); break;
        case Op::kDup: push(top()); break;

        case Op::kNone: push(Value()); break;
        case Op::kNewTrue: push(Value::boolean(true)); break;
        case Op::kNewFalse: push(Value::boolean(false)); break;
        case Op::kBinInt1:
          need(at, 1);
          push(Value::integer(std::to_integer<std::int64_t>(*at++)));
          break;
        case Op::kBinInt2:
          need(at, 2);
          push(Value::integer(load_little<std::uint16_t>(at)));
          at += 2;
          break;
        case Op::kBinInt:
          need(at, 4);
          push(Value::integer(load_little<std::int32_t>(at)));
          at += 4;
          break;
        case Op::kLong1: push(arena_.big_integer(counted<std::uint8_t>(at))); break;
        case Op::kLong4:
          need(at, 4);
          if (load_little<std::int32_t>(at) < 0)
            fail(Code::kCorrupt, "an integer of negative length");
          push(arena_.big_integer(counted<std::uint32_t>(at)));
          break;
        case Op::kInt: {
          const std::string_view text = line(at);
          const std::string_view digits =
              text.ends_with('\r') ? text.substr(0, text.size() - 1) : text;
          if (digits == "01" || digits == "00")
            push(Value::boolean(digits == "01"));
          else
            push(decimal_integer(arena_, digits));
          break;
        }
        case Op::kLong: {
          std::string_view text = line(at);
          if (text.ends_with('\r')) text.remove_suffix(1);
          if (text.ends_with('L')) text.remove_suffix(1);
          push(decimal_integer(arena_, text));
          break;
        }
        case Op::kFloat: push(Value::real(decimal_float(line(at)))); break;
        case Op::kBinFloat:
          need(at, 8);
          push(Value::real(std::bit_cast<double>(big_endian_64(at))));
          at += 8;
          break;

        case Op::kShortBinUnicode: push_text(counted<std::uint8_t>(at)); break;
        case Op::kBinUnicode: push_text(counted<std::uint32_t>(at)); break;
        case Op::kBinUnicode8: push_text(counted<std::uint64_t>(at)); break;
        case Op::kUnicode: push(arena_.string(raw_unicode_escape(line(at)))); break;
        case Op::kString: push_python2_text(arena_.copy(unquoted(line(at)))); break;
        case Op::kShortBinString: push_python2_text(as_text(counted<std::uint8_t>(at))); break;
        case Op::kBinString:
          need(at, 4);
          if (load_little<std::int32_t>(at) < 0)
            fail(Code::kCorrupt, "a string of negative length");
          push_python2_text(as_text(counted<std::uint32_t>(at)));
          break;
        case Op::kShortBinBytes: push(arena_.borrowed_bytes(counted<std::uint8_t>(at))); break;
        case Op::kBinBytes: push(arena_.borrowed_bytes(counted<std::uint32_t>(at))); break;
        case Op::kBinBytes8: push(arena_.borrowed_bytes(counted<std::uint64_t>(at))); break;
        case Op::kByteArray8: push(arena_.byte_array(counted<std::uint64_t>(at))); break;

        case Op::kEmptyTuple: push(arena_.tuple()); break;
        case Op::kTuple1:
          want(1);
          replace_from(stack_.size() - 1, arena_.tuple(stack_.from(stack_.size() - 1)));
          break;
        case Op::kTuple2:
          want(2);
          replace_from(stack_.size() - 2, arena_.tuple(stack_.from(stack_.size() - 2)));
          break;
        case Op::kTuple3:
          want(3);
          replace_from(stack_.size() - 3, arena_.tuple(stack_.from(stack_.size() - 3)));
          break;
        case Op::kTuple: {
          const std::size_t place = take_mark();
          replace_from(place, arena_.tuple(stack_.from(place)));
          break;
        }
        case Op::kEmptyList: push(arena_.list()); break;
        case Op::kList: {
          const std::size_t place = take_mark();
          replace_from(place, arena_.list(stack_.from(place)));
          break;
        }
        case Op::kAppend: {
          want(2);
          append_to(stack_[stack_.size() - 2], stack_.from(stack_.size() - 1));
          stack_.pop();
          break;
        }
        case Op::kAppends: {
          const std::size_t place = take_mark();
          if (place <= fence_) underflow();
          append_to(stack_[place - 1], stack_.from(place));
          stack_.truncate(place);
          break;
        }
        case Op::kEmptyDict: push(arena_.dict()); break;
        case Op::kDict: {
          const std::size_t place = take_mark();
          replace_from(place, dict_from(place));
          break;
        }
        case Op::kSetItem:
          want(3);
          set_in(stack_[stack_.size() - 3], stack_.from(stack_.size() - 2));
          stack_.truncate(stack_.size() - 2);
          break;
        case Op::kSetItems: {
          const std::size_t place = take_mark();
          if (place <= fence_) underflow();
          set_in(stack_[place - 1], stack_.from(place));
          stack_.truncate(place);
          break;
        }
        case Op::kEmptySet: push(arena_.sequence(Kind::kSet)); break;
        case Op::kAddItems: {
          const std::size_t place = take_mark();
          if (place <= fence_) underflow();
          add_to(stack_[place - 1], stack_.from(place));
          stack_.truncate(place);
          break;
        }
        case Op::kFrozenSet: {
          const std::size_t place = take_mark();
          const Value set = arena_.sequence(Kind::kFrozenSet);
          keys_.add(arena_, set.as_sequence(), stack_.from(place));
          replace_from(place, set);
          break;
        }

        case Op::kMemoize: remember(memo_.size() + sparse_memo_.size(), top()); break;
        case Op::kBinPut:
          need(at, 1);
          remember(std::to_integer<std::uint64_t>(*at++), top());
          break;
        case Op::kLongBinPut:
          need(at, 4);
          remember(load_little<std::uint32_t>(at), top());
          at += 4;
          break;
        case Op::kPut: remember(memo_index(line(at)), top()); break;
        case Op::kBinGet:
          need(at, 1);
          push(recall(std::to_integer<std::uint64_t>(*at++)));
          break;
        case Op::kLongBinGet:
          need(at, 4);
          push(recall(load_little<std::uint32_t>(at)));
          at += 4;
          break;
        case Op::kGet: push(recall(memo_index(line(at)))); break;

        case Op::kGlobal: {
          const std::string_view module = line(at);
          const std::string_view name = line(at);
          push(global(module, name));
          break;
        }
        case Op::kStackGlobal: {
          want(2);
          const Value module = stack_[stack_.size() - 2];
          const Value name = stack_.back();
          if (!module.is_string() || !name.is_string()) {
            fail(Code::kCorrupt, "a global whose name is no string; the file is damaged");
          }
          replace_from(stack_.size() - 2, global(module.as_string(), name.as_string()));
          break;
        }
        case Op::kReduce:
          want(2);
          replace_from(stack_.size() - 2, builder_.call(stack_[stack_.size() - 2], stack_.back()));
          break;
        case Op::kNewObj:
          want(2);
          replace_from(stack_.size() - 2, builder_.call(stack_[stack_.size() - 2], stack_.back()));
          break;
        case Op::kNewObjEx:
          want(3);
          replace_from(stack_.size() - 3, builder_.call(stack_[stack_.size() - 3],
                                                        stack_[stack_.size() - 2], stack_.back()));
          break;
        case Op::kInst: {
          const std::string_view module = line(at);
          const std::string_view name = line(at);
          const std::size_t place = take_mark();
          replace_from(place,
                       builder_.call(global(module, name), arena_.tuple(stack_.from(place))));
          break;
        }
        case Op::kObj: {
          const std::size_t place = take_mark();
          replace_from(place, instance(place));
          break;
        }
        case Op::kBuild:
          want(2);
          builder_.set_state(stack_[stack_.size() - 2], stack_.back());
          stack_.pop();
          break;
        case Op::kBinPersId: persistent(pop()); break;
        case Op::kPersId: persistent(arena_.string(line(at))); break;

        case Op::kProto: {
          need(at, 1);
          const int protocol = std::to_integer<int>(*at++);
          if (protocol > kHighestProtocol) {
            fail(Code::kUnsupported, "pickle protocol {}; at most {} is known", protocol,
                 kHighestProtocol);
          }
          protocol_ = protocol;
          break;
        }
        case Op::kFrame: {
          need(at, 8);
          const auto size = load_little<std::uint64_t>(at);
          at += 8;
          need(at, size);
          break;
        }
        case Op::kExt1:
        case Op::kExt2:
        case Op::kExt4:
          fail(
              Code::kUnsupported,
              "an extension code, whose meaning lies in the process that wrote the file (copyreg)");
        case Op::kNextBuffer:
        case Op::kReadonlyBuffer:
          fail(Code::kUnsupported, "a buffer outside the file (protocol 5, out of band)");
        default:
          fail(Code::kCorrupt,
               "byte {:#04x} is no pickle opcode; the file is damaged or not a pickle",
               static_cast<unsigned>(opcode));
      }
    }
  } catch (const Error& error) {
    const std::uint64_t offset =
        options_.base_offset + static_cast<std::uint64_t>(opcode_at - begin_);
    const std::string_view name =
        opcode_at < end_ ? opcode_name(std::to_integer<std::uint8_t>(*opcode_at)) : "end";
    throw error.at(fmt::format("byte {} ({})", offset, name));
  }
}

}  // namespace

// The densest real pickles need about 40 bytes of memory a byte of file; the floor is for
// small files, of which many may be open at once.
std::uint64_t arena_limit(std::uint64_t bytes) {
  return 32 * kMiB + 48 * (bytes - std::min(bytes, kMiB));
}

Loaded load(Arena& arena, Bytes bytes, const LoadOptions& options) {
  return Machine(arena, bytes, options).run();
}

}  // namespace reprise::pickle
