// The canonical JSON form of a document: every object, uninterpreted.
#pragma once

#include "ckpt/state/value.h"

#include <functional>
#include <string>
#include <string_view>

namespace reprise::container {

// Hands the JSON text of `root` to `sink`, in pieces (docs/legacy-formats.md, Canonical
// form). ASCII only. Tensors are read for their digests, one piece at a time; nothing
// recurses, whatever the nesting.
// Errors: those of reading tensors; kUnsupported when the tree unfolds to far more values
// than it holds (tuples nested in themselves many times over), and for sets nested deep.
void write_canonical(Value root, const std::function<void(std::string_view)>& sink);

std::string canonical_json(Value root);

// Python's float.hex(): "0x1.999999999999ap-4", "-inf", "nan".
std::string float_hex(double value);

// `text` as a JSON string in ASCII, with its quotes; lone surrogates become \uDXXX.
std::string json_string(std::string_view text);

// numpy's name of a dtype description of a record: "<f4" is "float32", "<U3" stays.
std::string numpy_type_name(std::string_view description);

}  // namespace reprise::container
