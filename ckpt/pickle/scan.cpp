#include "ckpt/pickle/scan.h"

#include "ckpt/base/error.h"
#include "ckpt/pickle/opcodes.h"
#include "ckpt/pickle/python2_names.h"
#include "ckpt/pickle/text.h"

#include <deque>
#include <optional>
#include <unordered_map>

namespace reprise::pickle {

namespace {

// What is known of a value on the stack: the text it is, or nothing.
struct Slot {
  std::string_view text;
  bool is_text = false;
  bool is_mark = false;
};

class Scanner {
 public:
  Scanner(Bytes bytes, std::uint64_t base) : bytes_(bytes), base_(base) {}

  PickleScan run() {
    while (step()) {
    }
    result_.size_bytes = at_;
    return std::move(result_);
  }

 private:
  bool stop(std::string problem) {
    result_.problem = std::move(problem);
    return false;
  }

  std::optional<Bytes> take(std::uint64_t size) {
    if (size > bytes_.size() - at_) return std::nullopt;
    const Bytes taken = bytes_.subspan(at_, size);
    at_ += size;
    return taken;
  }
  std::optional<std::uint64_t> number(std::size_t size) {
    const auto taken = take(size);
    if (!taken) return std::nullopt;
    std::uint64_t value = 0;
    std::memcpy(&value, taken->data(), size);
    return value;
  }
  std::optional<std::string_view> line() {
    const std::string_view rest = as_text(bytes_.subspan(at_));
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    at_ += end + 1;
    return rest.substr(0, end);
  }

  void push(Slot slot = {}) { stack_.push_back(slot); }
  void push_text(std::string_view text) { stack_.push_back({text, true, false}); }
  // Taking from an empty stack gives an unknown value: Python fails there, we go on.
  Slot pop() {
    if (stack_.empty()) return {};
    const Slot slot = stack_.back();
    stack_.pop_back();
    return slot;
  }
  void pop_to_mark() {
    while (!stack_.empty() && !pop().is_mark) {
    }
  }

  void found(std::string_view module, std::string_view name) {
    const GlobalName now = protocol_ < 3 ? python3_name({module, name}) : GlobalName{module, name};
    const std::string full = std::string(now.module) + "." + std::string(now.name);
    result_.globals.push_back({full, base_ + opcode_at_, judge(full)});
  }
  void found_unnamed(std::string name, std::string_view reason) {
    result_.globals.push_back({std::move(name), base_ + opcode_at_, {Verdict::kDangerous, reason}});
  }

  void stack_global() {
    const Slot name = pop();
    const Slot module = pop();
    if (module.is_text && name.is_text) {
      found(module.text, name.text);
    } else {
      found_unnamed(
          fmt::format("{}.{}", module.is_text ? module.text : "?", name.is_text ? name.text : "?"),
          "the name is computed while loading: it can be anything");
    }
    push();
  }

  // The text of a string opcode as Python decodes it.
  std::string_view decoded(Op op, std::string_view argument) {
    try {
      if (op == Op::kUnicode) return texts_.emplace_back(raw_unicode_escape(argument));
      if (op == Op::kString) return texts_.emplace_back(unquoted(argument));
    } catch (const Error&) {
      return {};
    }
    return argument;
  }

  bool step() {
    opcode_at_ = at_;
    const auto code = number(1);
    if (!code) return stop(fmt::format("byte {}: ends without STOP", base_ + opcode_at_));
    const auto byte = static_cast<std::uint8_t>(*code);
    const Argument kind = argument_of(byte);
    std::string_view text, second;
    std::uint64_t value = 0;
    const auto cut = [&] {
      return stop(fmt::format("byte {} ({}): the argument is cut short", base_ + opcode_at_,
                              opcode_name(byte)));
    };
    const auto read_number = [&](std::size_t size) {
      const auto read = number(size);
      value = read.value_or(0);
      return read.has_value();
    };
    switch (kind) {
      case Argument::kUnknownOpcode:
        at_ = opcode_at_;
        return stop(fmt::format("byte {}: {:#04x} is no opcode", base_ + opcode_at_, byte));
      case Argument::kNothing: break;
      case Argument::kBytes1:
        if (!read_number(1)) return cut();
        break;
      case Argument::kBytes2:
        if (!read_number(2)) return cut();
        break;
      case Argument::kBytes4:
        if (!read_number(4)) return cut();
        break;
      case Argument::kBytes8:
        if (!read_number(8)) return cut();
        break;
      case Argument::kCounted1:
      case Argument::kCounted4:
      case Argument::kCounted8: {
        if (!read_number(kind == Argument::kCounted1 ? 1 : kind == Argument::kCounted4 ? 4 : 8))
          return cut();
        const auto content = take(value);
        if (!content) return cut();
        text = as_text(*content);
        break;
      }
      case Argument::kLine:
      case Argument::kTwoLines: {
        const auto first = line();
        if (!first) return cut();
        text = *first;
        if (kind == Argument::kLine) break;
        const auto next = line();
        if (!next) return cut();
        second = *next;
      }
    }
    return act(static_cast<Op>(byte), text, second, value);
  }

  bool act(Op op, std::string_view text, std::string_view second, std::uint64_t value) {
    switch (op) {
      case Op::kStop: result_.complete = true; return false;
      case Op::kProto: protocol_ = static_cast<int>(value); break;
      case Op::kFrame: break;
      case Op::kMark: push({{}, false, true}); break;
      case Op::kPop: pop(); break;
      case Op::kPopMark: pop_to_mark(); break;
      case Op::kDup: push(stack_.empty() ? Slot() : stack_.back()); break;

      case Op::kGlobal:
        found(text, second);
        push();
        break;
      case Op::kStackGlobal: stack_global(); break;
      case Op::kInst:
        found(text, second);
        pop_to_mark();
        push();
        break;
      case Op::kObj:
        pop_to_mark();
        push();
        break;
      case Op::kExt1:
      case Op::kExt2:
      case Op::kExt4:
        found_unnamed(fmt::format("copyreg extension {}", value),
                      "an extension code stands for any registered class");
        push();
        break;

      case Op::kShortBinUnicode:
      case Op::kBinUnicode:
      case Op::kBinUnicode8:
      case Op::kShortBinString:
      case Op::kBinString: push_text(text); break;
      case Op::kUnicode:
      case Op::kString: push_text(decoded(op, text)); break;

      case Op::kMemoize: memo_[memo_.size()] = stack_.empty() ? Slot() : stack_.back(); break;
      case Op::kBinPut:
      case Op::kLongBinPut: memo_[value] = stack_.empty() ? Slot() : stack_.back(); break;
      case Op::kPut: memo_[index_of(text)] = stack_.empty() ? Slot() : stack_.back(); break;
      case Op::kBinGet:
      case Op::kLongBinGet: push(recall(value)); break;
      case Op::kGet: push(recall(index_of(text))); break;

      case Op::kTuple:
      case Op::kList:
      case Op::kDict:
      case Op::kFrozenSet:
        pop_to_mark();
        push();
        break;
      case Op::kAppends:
      case Op::kSetItems:
      case Op::kAddItems: pop_to_mark(); break;
      case Op::kAppend:
      case Op::kBuild: pop(); break;
      case Op::kSetItem:
        pop();
        pop();
        break;
      case Op::kTuple1:
      case Op::kBinPersId:
        pop();
        push();
        break;
      case Op::kTuple2:
      case Op::kReduce:
      case Op::kNewObj:
        pop();
        pop();
        push();
        break;
      case Op::kTuple3:
      case Op::kNewObjEx:
        pop();
        pop();
        pop();
        push();
        break;
      case Op::kReadonlyBuffer: break;
      default: push(); break;  // a number, None, bytes, an empty container, a buffer
    }
    return true;
  }

  Slot recall(std::uint64_t index) const {
    const auto known = memo_.find(index);
    return known == memo_.end() ? Slot() : known->second;
  }
  static std::uint64_t index_of(std::string_view text) {
    try {
      return memo_index(text);
    } catch (const Error&) {
      return ~std::uint64_t{0};
    }
  }

  Bytes bytes_;
  std::uint64_t base_;
  std::uint64_t at_ = 0;
  std::uint64_t opcode_at_ = 0;
  int protocol_ = 0;
  std::vector<Slot> stack_;
  std::unordered_map<std::uint64_t, Slot> memo_;
  std::deque<std::string> texts_;
  PickleScan result_;
};

}  // namespace

PickleScan scan(Bytes bytes, std::uint64_t base_offset) {
  return Scanner(bytes, base_offset).run();
}

}  // namespace reprise::pickle
