#include "ckpt/pickle/emitter.h"

#include "ckpt/base/error.h"
#include "ckpt/pickle/python2_names.h"

#include <bit>
#include <limits>

namespace reprise::pickle {

void Emitter::integer(std::int64_t value) {
  if (value >= 0 && value <= 0xFF) {
    op(Op::kBinInt1);
    number(static_cast<std::uint8_t>(value));
  } else if (value >= 0 && value <= 0xFFFF) {
    op(Op::kBinInt2);
    number(static_cast<std::uint16_t>(value));
  } else if (value >= std::numeric_limits<std::int32_t>::min() &&
             value <= std::numeric_limits<std::int32_t>::max()) {
    op(Op::kBinInt);
    number(static_cast<std::int32_t>(value));
  } else {
    big_integer(std::as_bytes(std::span(&value, 1)));
  }
}

void Emitter::big_integer(Bytes little_endian) {
  Bytes digits = little_endian;
  while (digits.size() > 1) {  // bytes that only repeat the sign
    const auto last = std::to_integer<unsigned>(digits.back());
    const bool sign_below = (std::to_integer<unsigned>(digits[digits.size() - 2]) & 0x80) != 0;
    if (last != (sign_below ? 0xFFu : 0u)) break;
    digits = digits.first(digits.size() - 1);
  }
  if (digits.size() <= 0xFF) {
    op(Op::kLong1);
    number(static_cast<std::uint8_t>(digits.size()));
  } else {
    op(Op::kLong4);
    number(static_cast<std::uint32_t>(digits.size()));
  }
  out_ += as_text(digits);
}

void Emitter::real(double value) {
  op(Op::kBinFloat);
  number(__builtin_bswap64(std::bit_cast<std::uint64_t>(value)));
}

void Emitter::plain_text(std::string_view utf8) {
  if (utf8.size() > 0xFFFFFFFFu)
    fail(Code::kUnsupported, "{} bytes in one value, too many for pickle protocol 2", utf8.size());
  op(Op::kBinUnicode);
  number(static_cast<std::uint32_t>(utf8.size()));
  out_ += utf8;
}

std::uint32_t Emitter::text(std::string_view utf8) {
  const auto [known, added] = texts_.try_emplace(std::string(utf8), next_);
  if (added) {
    plain_text(utf8);
    put();
  } else {
    get(known->second);
  }
  return known->second;
}

void Emitter::bytes(Bytes bytes) {
  std::string latin1;
  for (const std::byte b : bytes) {
    const auto code = std::to_integer<unsigned>(b);
    if (code < 0x80) {
      latin1.push_back(static_cast<char>(code));
    } else {
      latin1.push_back(static_cast<char>(0xC0 | code >> 6));
      latin1.push_back(static_cast<char>(0x80 | (code & 0x3F)));
    }
  }
  global("_codecs.encode");
  plain_text(latin1);
  text("latin1");
  close_tuple(2);
  op(Op::kReduce);
}

void Emitter::global(std::string_view full_name) {
  const auto [known, added] = globals_.try_emplace(std::string(full_name), next_);
  if (!added) return get(known->second);
  const std::size_t dot = full_name.rfind('.');
  if (dot == std::string_view::npos || full_name.find('\n') != std::string_view::npos) {
    fail(Code::kUnsupported, "the global '{}' has no module, or a name over two lines",
         printable(full_name));
  }
  const GlobalName written{full_name.substr(0, dot), full_name.substr(dot + 1)};
  const GlobalName read = python3_name(written);
  if (read.module != written.module || read.name != written.name) {
    fail(Code::kUnsupported,
         "the global '{}' cannot be named in a pickle of protocol 2: Python reads it as '{}.{}'",
         printable(full_name), read.module, read.name);
  }
  op(Op::kGlobal);
  out_.append(written.module).append("\n").append(written.name).append("\n");
  put();
}

void Emitter::empty_ordered_dict() {
  global("collections.OrderedDict");
  op(Op::kEmptyTuple);
  op(Op::kReduce);
}

void Emitter::numbers(const Shape& shape) {
  open_tuple(shape.size());
  for (const std::int64_t extent : shape) integer(extent);
  close_tuple(shape.size());
}

void Emitter::close_tuple(std::size_t size) {
  constexpr Op kShort[] = {Op::kEmptyTuple, Op::kTuple1, Op::kTuple2, Op::kTuple3};
  op(size <= 3 ? kShort[size] : Op::kTuple);
}

std::uint32_t Emitter::put() {
  if (next_ <= 0xFF) {
    op(Op::kBinPut);
    number(static_cast<std::uint8_t>(next_));
  } else {
    op(Op::kLongBinPut);
    number(next_);
  }
  return next_++;
}

void Emitter::get(std::uint32_t index) {
  if (index <= 0xFF) {
    op(Op::kBinGet);
    number(static_cast<std::uint8_t>(index));
  } else {
    op(Op::kLongBinGet);
    number(index);
  }
}

}  // namespace reprise::pickle
