#include "ckpt/container/crew_letters.h"

#include "ckpt/base/byte_reader.h"

#include <algorithm>
#include <functional>

namespace reprise::container {

namespace {

void put(std::vector<std::byte>& letter, Bytes bytes) {
  letter.insert(letter.end(), bytes.begin(), bytes.end());
}

void put(std::vector<std::byte>& letter, std::uint64_t number) {
  std::byte bytes[sizeof number];
  store_little(bytes, number);
  put(letter, Bytes(bytes));
}

Digest take_digest(ByteReader& reader) {
  Digest digest;
  std::ranges::copy(reader.take(digest.bytes.size(), "a digest"), digest.bytes.begin());
  return digest;
}

ByteReader behind_word(Bytes letter) {
  ByteReader reader(letter);
  reader.seek(sizeof(CrewWord));
  return reader;
}

std::string rest_of(ByteReader& reader) {
  return std::string(as_text(reader.take(reader.remaining(), "text")));
}

// Every digest of the groups of one writer, in order.
template <typename SomeLayout, typename Body>
void for_each_digest(SomeLayout& layout, unsigned writer, unsigned writers, const Body& body) {
  const std::vector<unsigned> writer_of = share_groups(layout, writers);
  for (std::size_t g = 0; g < writer_of.size(); ++g) {
    if (writer_of[g] != writer) continue;
    for (auto& extent : layout.group(g)) {
      body(extent.sha256);
      for (auto& chunk : extent.chunks) body(chunk);
    }
  }
}

}  // namespace

std::vector<std::byte> encode_word(CrewWord word) {
  std::vector<std::byte> letter(sizeof word);
  store_little(letter.data(), word);
  return letter;
}

std::vector<std::byte> encode_begin(const CrewBegin& begin) {
  std::vector<std::byte> letter = encode_word(CrewWord::kBegin);
  for (const std::uint64_t number :
       {begin.occasion, begin.data_offset, begin.file_bytes, begin.direct}) {
    put(letter, number);
  }
  put(letter, Bytes(begin.layout.bytes));
  put(letter, as_bytes(begin.target));
  return letter;
}

std::vector<std::byte> encode_failure(Code code, std::string_view text) {
  std::vector<std::byte> letter = encode_word(CrewWord::kFailed);
  put(letter, static_cast<std::uint64_t>(code));
  put(letter, as_bytes(text));
  return letter;
}

std::vector<std::byte> encode_digests(const Layout& layout, unsigned writer, unsigned writers) {
  std::vector<std::byte> letter = encode_word(CrewWord::kDone);
  for_each_digest(layout, writer, writers,
                  [&](const Digest& digest) { put(letter, Bytes(digest.bytes)); });
  return letter;
}

CrewWord word_of(Bytes letter) {
  const auto word = ByteReader(letter).number<std::uint32_t>("a word");
  if (word > static_cast<std::uint32_t>(CrewWord::kFailed)) {
    fail(Code::kCorrupt, "a letter with the unknown word {}", word);
  }
  return static_cast<CrewWord>(word);
}

CrewBegin decode_begin(Bytes letter) {
  ByteReader reader = behind_word(letter);
  CrewBegin begin;
  for (std::uint64_t* number :
       {&begin.occasion, &begin.data_offset, &begin.file_bytes, &begin.direct}) {
    *number = reader.number<std::uint64_t>("a number");
  }
  begin.layout = take_digest(reader);
  begin.target = rest_of(reader);
  return begin;
}

Error decode_failure(Bytes letter) {
  ByteReader reader = behind_word(letter);
  const auto code = reader.number<std::uint64_t>("a code");
  const std::string text = printable(rest_of(reader), 4000);
  return {code > 255 ? Code::kInternal : static_cast<Code>(code), text};
}

void decode_digests(Bytes letter, Layout& layout, unsigned writer, unsigned writers) {
  ByteReader reader = behind_word(letter);
  for_each_digest(layout, writer, writers, [&](Digest& digest) { digest = take_digest(reader); });
  if (!reader.at_end()) fail(Code::kCorrupt, "a letter with {} bytes more", reader.remaining());
}

}  // namespace reprise::container
