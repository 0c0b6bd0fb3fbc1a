// Arguments of the text opcodes, and whether bytes are UTF-8 as Python accepts it.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/state/value.h"

#include <optional>
#include <string>
#include <string_view>

namespace reprise::pickle {

// Whether `text` is UTF-8; lone surrogates are let through, as Python's pickle does
// ("surrogatepass"). Overlong forms are not. Runs at memory speed over ASCII.
bool is_utf8(std::string_view text);
bool is_ascii(std::string_view text);

// A decimal integer of any size, with a sign. Errors: kCorrupt for anything else;
// kUnsupported beyond 4,300 digits, where Python stops too (converting is quadratic).
Value decimal_integer(Arena& arena, std::string_view text);

// Python's float(): "0.1", "1e300", "inf", "-nan". Errors: kCorrupt.
double decimal_float(std::string_view text);

// A memo index. Errors: kCorrupt.
std::uint64_t memo_index(std::string_view text);

// The bytes of a Python 2 string literal, 'it\'s', without its quotes. Errors: kCorrupt.
std::string unquoted(std::string_view literal);

// Python's raw-unicode-escape as UTF-8: \uXXXX and \UXXXXXXXX, other bytes Latin-1.
// Errors: kCorrupt.
std::string raw_unicode_escape(std::string_view text);

// Latin-1 text of a UTF-8 string: one byte a character; nothing when one is over U+00FF.
std::optional<std::string> latin1_bytes(std::string_view utf8);

// The decimal digits of little-endian two's complement bytes.
std::string to_decimal(Bytes little_endian);

}  // namespace reprise::pickle
