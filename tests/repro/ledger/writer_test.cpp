#include "repro/ledger/writer.h"

#include "ckpt/base/error.h"
#include "ckpt/base/uuid.h"
#include "repro/ledger/reader.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace reprise::ledger {
namespace {
namespace fs = std::filesystem;

UpdateLine line_of(std::uint64_t update, double loss = 0.5) {
  UpdateLine line;
  line.update = update;
  line.samples = update * 64;
  line.loss = loss;
  line.batch = line.grad = line.param = line.rng = std::string(32, '0');
  return line;
}

Code code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return Code::kInternal;
}

class LedgerWriter : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("reprise-ledger-" + Uuid::random().text());
    fs::create_directory(directory_);
    path_ = directory_ / "ledger.jsonl";
  }
  void TearDown() override { fs::remove_all(directory_); }

  // A ledger of `updates` lines; returns the chain after each, from update 0 on.
  std::vector<Digest> write(std::uint64_t updates) {
    fs::remove(path_);
    Writer writer = Writer::create(path_);
    std::vector<Digest> chains = {writer.chain()};
    for (std::uint64_t i = 1; i <= updates; ++i) {
      writer.append(line_of(i));
      chains.push_back(writer.chain());
    }
    return chains;
  }
  std::string text() { return read_text(path_); }
  void replace(const std::string& text) { write_text(path_, text); }
  std::uint64_t read_all() {
    Reader reader = Reader::open(path_);
    std::uint64_t lines = 0;
    while (reader.next()) ++lines;
    return lines;
  }

  fs::path directory_, path_;
};

TEST_F(LedgerWriter, ResumedLedgerHasTheBytesOfAnUnbrokenOne) {
  const auto chains = write(10);
  const std::string unbroken = text();
  Writer writer = Writer::reopen(path_, 6, chains[6]);
  EXPECT_EQ(writer.repair().lines_removed, 4u);
  for (std::uint64_t i = 7; i <= 10; ++i) writer.append(line_of(i));
  EXPECT_EQ(text(), unbroken);
}

// A process that is killed behind append() has lost nothing: no line waits in a buffer of ours.
TEST_F(LedgerWriter, EachLineIsInTheFileWhenAppendReturns) {
  Writer writer = Writer::create(path_);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    writer.append(line_of(i));
    EXPECT_EQ(read_all(), i);
    EXPECT_TRUE(text().ends_with('\n'));
  }
}

TEST_F(LedgerWriter, TornLastLineIsRepaired) {
  const auto chains = write(3);
  const std::string whole = text();
  replace(whole + R"({"update":4,"epo)");
  Writer writer = Writer::reopen(path_, 3, chains[3]);
  EXPECT_EQ(writer.repair().torn_bytes, 16u);
  EXPECT_EQ(text(), whole);
}

TEST_F(LedgerWriter, ResumeAtUpdateZeroKeepsTheHeader) {
  const auto chains = write(2);
  Writer writer = Writer::reopen(path_, 0, chains[0]);
  EXPECT_EQ(text(), std::string(kHeaderLine) + "\n");
}

TEST_F(LedgerWriter, TensorsLineStaysWithItsUpdate) {
  Writer writer = Writer::create(path_);
  writer.append(line_of(1));
  writer.append(TensorsLine{1, {{"w", std::string(32, '1')}}});
  const Digest chain = writer.chain();
  const std::string kept = text();
  writer.append(line_of(2));
  Writer::reopen(path_, 1, chain);
  EXPECT_EQ(text(), kept);
}

TEST_F(LedgerWriter, ForeignChainIsAMismatch) {
  const auto chains = write(3);
  EXPECT_EQ(code_of([&] { Writer::reopen(path_, 3, chains[2]); }), Code::kMismatch);
  EXPECT_EQ(code_of([&] { Writer::reopen(path_, 4, chains[3]); }), Code::kMismatch);
}

TEST_F(LedgerWriter, ExistingLedgerIsNotOverwritten) {
  write(1);
  EXPECT_EQ(code_of([&] { Writer::create(path_); }), Code::kIo);
}

TEST_F(LedgerWriter, EditedMissingAndRepeatedLinesBreakTheChain) {
  write(5);
  const std::string good = text();
  EXPECT_EQ(read_all(), 5u);
  const auto line = [&](int n) {  // 1 is the first update
    std::size_t begin = 0;
    for (int i = 0; i < n; ++i) begin = good.find('\n', begin) + 1;
    return std::pair(begin, good.find('\n', begin) + 1 - begin);
  };
  // The line of the file at which the chain does not hold any more.
  const auto expect_broken = [&](const std::string& ledger, const std::string& says) {
    replace(ledger);
    try {
      read_all();
      ADD_FAILURE() << says;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kCorrupt);
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
    }
  };
  const std::string broken = ": its 'prev' is not the digest of the line before";
  std::string edited = good;
  edited[good.find(":64,") + 2] = '5';
  expect_broken(edited, "line 3" + broken);

  const auto [begin, length] = line(3);
  expect_broken(std::string(good).erase(begin, length), "line 4" + broken);
  expect_broken(std::string(good).insert(begin, good.substr(begin, length)), "line 5" + broken);
  const auto [first, first_length] = line(1);
  expect_broken(std::string(good).erase(first, first_length), "line 2" + broken);
  std::string renumbered = good;
  renumbered[begin + 10] = '7';
  expect_broken(renumbered, "line 4: is update 7, 3 was expected");
}

// A run may be resumed with a ledger that it did not have before.
TEST_F(LedgerWriter, ALedgerMayBeginAtAnyUpdate) {
  Writer writer = Writer::create(path_);
  for (std::uint64_t i = 9; i <= 11; ++i) writer.append(line_of(i));
  const Digest chain = writer.chain();
  EXPECT_EQ(read_all(), 3u);
  EXPECT_EQ(Writer::reopen(path_, 11, chain).last_update(), 11u);
  EXPECT_EQ(code_of([&] { Writer::reopen(path_, 5, chain); }), Code::kMismatch);
}

TEST_F(LedgerWriter, EveryFlippedBitBeforeTheLastLineIsFound) {
  write(3);
  const std::string good = text();
  const std::size_t last = good.rfind('\n', good.size() - 2) + 1;
  for (std::size_t i = 0; i < last; ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x01);
    replace(bad);
    const Code code = code_of([&] { read_all(); });
    EXPECT_TRUE(code == Code::kCorrupt || code == Code::kUnsupported) << "byte " << i;
  }
}

TEST_F(LedgerWriter, NewerHeaderIsUnsupported) {
  replace("{\"ledger\":2}\n");
  EXPECT_EQ(code_of([&] { Reader::open(path_); }), Code::kUnsupported);
  replace("hello\n");
  EXPECT_EQ(code_of([&] { Reader::open(path_); }), Code::kCorrupt);
  replace("");
  EXPECT_EQ(code_of([&] { Reader::open(path_); }), Code::kCorrupt);
}

}  // namespace
}  // namespace reprise::ledger
