#include "ckpt/base/error.h"
#include "ckpt/pickle/emitter.h"

#include <charconv>

namespace reprise::pickle {

namespace {

[[noreturn]] void refuse(std::string_view what) {
  fail(Code::kUnsupported, "numpy: {} is not written; keep the original file for it", what);
}

std::int64_t digits_of(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Bytes of an element, as its description says: "<U3" is 12, "|O" 8.
std::int64_t item_size(std::string_view description) {
  const std::int64_t digits = digits_of(description.substr(2));
  if (description[1] == 'O') return 8;
  return description[1] == 'U' ? digits * 4 : digits;
}

std::int64_t item_size(Value description) {
  if (description.is_string()) return item_size(description.as_string());
  std::int64_t sum = 0;
  for (const Value pair : description.as_sequence().items)
    sum += item_size(pair.as_sequence().items[1]);
  return sum;
}

// ({}, (unit, count, 1, 1)) of "<M8[25s]".
void datetime_metadata(Emitter& out, std::string_view description) {
  const std::size_t bracket = description.find('[');
  std::string_view unit = bracket == std::string_view::npos ? "" : description.substr(bracket + 1);
  if (unit.ends_with(']')) unit.remove_suffix(1);
  const std::size_t letters = std::min(unit.find_first_not_of("0123456789"), unit.size());
  out.op(Op::kEmptyDict);
  out.open_tuple(4);
  out.bytes(as_bytes(unit.empty() ? "generic" : unit.substr(letters)));
  out.integer(letters == 0 ? 1 : digits_of(unit));
  out.integer(1);
  out.integer(1);
  out.close_tuple(4);
  out.close_tuple(2);
}

void call_dtype(Emitter& out, std::string_view code) {
  out.global("numpy.dtype");
  out.text(code);
  out.boolean(false);
  out.boolean(true);
  out.close_tuple(3);
  out.op(Op::kReduce);
}

void record_dtype(Emitter& out, Value description) {
  const auto& fields = description.as_sequence().items;
  const std::int64_t size = item_size(description);
  call_dtype(out, "V" + std::to_string(size));
  out.open_tuple(8);
  out.integer(3);
  out.text("|");
  out.op(Op::kNone);
  out.open_tuple(fields.size());
  for (const Value field : fields) out.text(field.as_sequence().items[0].as_string());
  out.close_tuple(fields.size());
  out.op(Op::kEmptyDict);
  std::int64_t offset = 0;
  for (const Value field : fields) {
    const auto& pair = field.as_sequence().items;
    if (!pair[1].is_string()) refuse("a record inside a record");
    out.text(pair[0].as_string());
    write_numpy_dtype(out, pair[1]);
    out.integer(offset);
    out.close_tuple(2);
    out.op(Op::kSetItem);
    offset += item_size(pair[1]);
  }
  out.integer(size);
  out.integer(1);
  out.integer(16);
  out.close_tuple(8);
  out.op(Op::kBuild);
}

}  // namespace

void write_numpy_dtype(Emitter& out, Value description) {
  if (!description.is_string()) return record_dtype(out, description);
  const std::string_view text = description.as_string();
  if (text.size() < 2) refuse("this dtype");
  const char kind = text[1];
  const bool date = kind == 'M' || kind == 'm';
  call_dtype(out, date ? text.substr(1, 2) : kind == 'O' ? "O8" : text.substr(1));
  const std::size_t size = date ? 9 : 8;
  const bool sized = kind == 'S' || kind == 'U' || kind == 'V';
  out.open_tuple(size);
  out.integer(date ? 4 : 3);
  out.text(text.substr(0, 1));
  out.op(Op::kNone);
  out.op(Op::kNone);
  out.op(Op::kNone);
  out.integer(sized ? item_size(text) : -1);
  out.integer(sized ? (kind == 'U' ? 4 : 1) : -1);
  out.integer(kind == 'U' ? 8 : kind == 'O' ? 63 : 0);
  if (date) datetime_metadata(out, text);
  out.close_tuple(size);
  out.op(Op::kBuild);
}

void write_numpy_scalar(Emitter& out, const RecordNode& scalar) {
  out.global("numpy.core.multiarray.scalar");
  write_numpy_dtype(out, scalar.fields[0]);
  out.bytes(scalar.fields[1].as_bytes());
  out.close_tuple(2);
  out.op(Op::kReduce);
}

void open_numpy_array(Emitter& out) {
  out.global("numpy.core.multiarray._reconstruct");
  out.global("numpy.ndarray");
  out.integer(0);
  out.close_tuple(1);
  out.bytes(as_bytes(std::string_view("b")));
  out.close_tuple(3);
  out.op(Op::kReduce);
}

void open_numpy_state(Emitter& out, const RecordNode& array) {
  if (array.fields[0].is_none()) refuse("an array of an unknown dtype");
  Shape shape;
  std::int64_t elements = 1;
  if (array.fields[1].is_sequence()) {
    for (const Value extent : array.fields[1].as_sequence().items) shape.push_back(extent.as_int());
  } else {
    shape.push_back(array.fields[1].as_int());
  }
  for (const std::int64_t extent : shape) elements *= extent;
  const bool objects = array.fields[2].kind() == Kind::kList;
  if (!objects && static_cast<std::int64_t>(array.fields[2].as_bytes().size()) !=
                      elements * item_size(array.fields[0])) {
    refuse("an array of records with gaps between their fields");
  }
  out.open_tuple(5);
  out.integer(1);
  out.numbers(shape);
  write_numpy_dtype(out, array.fields[0]);
  out.boolean(false);
  if (!objects) out.bytes(array.fields[2].as_bytes());
}

void close_numpy_array(Emitter& out) {
  out.close_tuple(5);
  out.op(Op::kBuild);
}

}  // namespace reprise::pickle
