// Bytes of opcodes with their arguments, for the writer.
#pragma once

#include "ckpt/pickle/opcodes.h"
#include "ckpt/state/value.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace reprise::pickle {

// Appends to a string. Globals and texts are written once and fetched from the memo
// when they come again, as Python does.
class Emitter {
 public:
  void begin() {
    op(Op::kProto);
    number(std::uint8_t{2});
  }
  void op(Op opcode) { out_.push_back(static_cast<char>(opcode)); }
  void integer(std::int64_t value);
  void big_integer(Bytes little_endian);
  void real(double value);
  void boolean(bool value) { op(value ? Op::kNewTrue : Op::kNewFalse); }
  // Returns its place in the memo.
  // Errors: kUnsupported for 4 GiB and more, as for bytes(), which protocol 2 cannot say.
  std::uint32_t text(std::string_view utf8);
  // bytes, as a call of _codecs.encode: protocol 2 has no opcode for them.
  void bytes(Bytes bytes);
  // Errors: kUnsupported when a name holds a line feed, which protocol 2 cannot say.
  void global(std::string_view full_name);
  void empty_ordered_dict();
  // The numbers of a shape as a tuple.
  void numbers(const Shape& shape);
  // Ends a tuple of `size` values, with a MARK below them where size > 3.
  void open_tuple(std::size_t size) {
    if (size > 3) op(Op::kMark);
  }
  void close_tuple(std::size_t size);

  std::uint32_t put();  // memoizes the top of the stack
  void get(std::uint32_t index);

  const std::string& out() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  template <typename T>
  void number(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void plain_text(std::string_view utf8);

  std::string out_;
  std::uint32_t next_ = 0;
  std::unordered_map<std::string, std::uint32_t> texts_;
  std::unordered_map<std::string, std::uint32_t> globals_;
};

// numpy values, as numpy 1 and 2 both read them. Errors: kUnsupported.
void write_numpy_scalar(Emitter& out, const RecordNode& scalar);
void write_numpy_dtype(Emitter& out, Value description);
// All of an array but the items of an array of objects, which follow: _reconstruct, and
// the state up to the data; close_numpy_array() ends it.
void open_numpy_array(Emitter& out);
void open_numpy_state(Emitter& out, const RecordNode& array);
void close_numpy_array(Emitter& out);

}  // namespace reprise::pickle
