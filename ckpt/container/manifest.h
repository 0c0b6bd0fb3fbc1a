// The manifest: everything in a document that is not tensor values, as JSON.
//
// The form is close to the canonical form in which documents are compared
// (docs/checkpoint-format.md, Manifest): null, true, false, text, integers up to 2^53
// and finite floats are JSON; everything else is an object with one telling key.
// Tensors are numbers: their place in the tensor table.
#pragma once

#include "ckpt/container/tensor_names.h"
#include "ckpt/state/value.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::container {

// Values nested deeper than this are neither written nor read.
inline constexpr std::size_t kDepthLimit = 400;
// The largest manifest that is written or read.
inline constexpr std::uint64_t kManifestLimit = 256u << 20;

// Bytes of text in it that stand there again: a small file refers to a long text many times.
inline constexpr std::uint64_t kRepeatedTextLimit = 16u << 20;

// Tensors that are listed again under another name, beside as many as there are tensors. A name
// takes three bytes in the file, and some hundred in the lists.
inline constexpr std::size_t kRepeatedTensorsLimit = 20'000;

// Bytes of all names of tensors together: short keys, nested and shared, make long paths of a
// small file. Half a million names of 64 bytes.
inline constexpr std::uint64_t kNamesLimit = 32u << 20;

struct EncodedDocument {
  std::string json;
  std::vector<NamedTensor> tensors;  // what {"tensor": i} refers to
};

// Linear in the size of the tree: a node that is reached twice is written once.
// Errors: kUnsupported when the tree is deeper than kDepthLimit, or the JSON, the text
// repeated in it, or the names would be larger than their limits.
EncodedDocument encode_manifest(Value root);

// The tree that `json` describes, made in `arena`, with `tensors` in the places that
// refer to them. Untrusted input: everything is checked, depth before memory is spent.
// Errors: kCorrupt, naming what was found; kUnsupported for a kind of value this
// version does not know.
Value decode_manifest(std::string_view json, std::span<const Tensor> tensors, Arena& arena);

// The words that stand in files for classes; an enum's value is the index.
// DO NOT CHANGE THESE WORDS: they are embedded in files. Append only.
inline constexpr std::array<std::string_view, 5> kDictWords = {
    "dict", "ordered_dict", "defaultdict", "counter", "namespace"};
inline constexpr std::array<std::string_view, 14> kRecordWords = {
    "size",   "device",  "torch_dtype", "layout", "memory_format", "storage_object", "np_dtype",
    "scalar", "ndarray", "datetime",    "date",   "time",          "timedelta",      "path"};
inline constexpr std::array<std::string_view, 4> kSequenceWords = {"list", "tuple", "set",
                                                                   "frozenset"};
inline constexpr std::array<std::string_view, 7> kLayoutWords = {
    "strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc", "meta"};

}  // namespace reprise::container
