// What the processes of a crew write to each other. All of them run one program: letters last as
// long as a file is being written, and are no format.
#pragma once

#include "ckpt/base/error.h"
#include "ckpt/base/sha256.h"
#include "ckpt/container/crew_link.h"
#include "ckpt/container/tensor_layout.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::container {

enum class CrewWord : std::uint32_t {
  kBegin,  // leader: a Begin, with the file
  kStop,   // leader: there is no file, or nothing more to do on it
  kHere,   // member: still writing
  kDone,   // member: digests of its share
  kFailed  // member: code and text
};

// The parts of a letter behind its word.
struct CrewBegin {
  std::uint64_t occasion = 0;
  std::uint64_t data_offset = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t direct = 0;
  Digest layout;
  std::string target = {};
};

std::vector<std::byte> encode_word(CrewWord word);
std::vector<std::byte> encode_begin(const CrewBegin& begin);
std::vector<std::byte> encode_failure(Code code, std::string_view text);
// The digests of what `writer` of `writers` wrote, in the order of the layout.
std::vector<std::byte> encode_digests(const Layout& layout, unsigned writer, unsigned writers);

// Errors of all: kCorrupt for a letter that is no such one.
CrewWord word_of(Bytes letter);
CrewBegin decode_begin(Bytes letter);
Error decode_failure(Bytes letter);
// Into the places of `layout` that encode_digests() took them from.
void decode_digests(Bytes letter, Layout& layout, unsigned writer, unsigned writers);

}  // namespace reprise::container
