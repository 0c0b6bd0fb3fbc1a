#include "repro/audit/compare_ledgers.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/uuid.h"
#include "repro/audit/explain.h"
#include "repro/ledger/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

namespace reprise::audit {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string digest(std::uint64_t n) { return fmt::format("{:032x}", n); }

// A run as a function of its update: what a deterministic training gives.
ledger::UpdateLine line_of(std::uint64_t update, std::uint64_t batch_size = 64) {
  ledger::UpdateLine line;
  line.update = update;
  line.epoch = update / 100;
  line.samples = update * batch_size;
  line.batch = digest(line.samples);
  line.loss = 1.0 / static_cast<double>(line.samples);
  line.grad = digest(line.samples + 1);
  line.param = digest(line.samples + 2);
  line.rng = digest(7);
  return line;
}

class CompareLedgers : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("reprise-audit-" + Uuid::random().text());
    fs::create_directory(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  using Edit = std::function<void(ledger::UpdateLine&)>;
  // Writes a ledger of `updates`; `edit` changes lines before they are chained.
  fs::path write(const std::string& name, std::uint64_t updates, const Edit& edit = {},
                 std::uint64_t tensors_every = 0, std::uint64_t batch_size = 64) {
    const fs::path path = folder_ / name;
    ledger::Writer writer = ledger::Writer::create(path);
    for (std::uint64_t i = 1; i <= updates; ++i) {
      ledger::UpdateLine line = line_of(i, batch_size);
      if (edit) edit(line);
      writer.append(line);
      if (tensors_every == 0 || i % tensors_every != 0) continue;
      // The second tensor follows `param`, the first never changes.
      writer.append(ledger::TensorsLine{i, {{"frozen", digest(1)}, {"trained", line.param}}});
    }
    return path;
  }
  // From update k on, something is different.
  static Edit from(std::uint64_t k, std::function<void(ledger::UpdateLine&)> change) {
    return [k, change](ledger::UpdateLine& line) {
      if (line.update >= k) change(line);
    };
  }

  fs::path folder_;
};

TEST_F(CompareLedgers, EqualRunsAreTheSame) {
  const auto result = compare_ledgers(write("a", 300), write("b", 300));
  EXPECT_TRUE(result.same);
  EXPECT_EQ(result.compared_updates, 300u);
  EXPECT_EQ(summary(result), "The same, for all 300 updates.");
}

TEST_F(CompareLedgers, NamesTheUpdateAndWhatPartedFirst) {
  const auto a = write("a", 500);
  const auto expect = [&](const char* name, Part part,
                          const std::function<void(ledger::UpdateLine&)>& change) {
    const auto result = compare_ledgers(a, write(name, 500, from(412, change)));
    EXPECT_FALSE(result.same);
    ASSERT_TRUE(result.divergence);
    EXPECT_EQ(result.divergence->a.update, 412u);
    EXPECT_EQ(result.divergence->what, part) << name;
    EXPECT_EQ(result.compared_updates, 411u);
  };
  const auto end = digest(99);
  expect("data", Part::kData, [&](auto& line) { line.batch = line.grad = line.param = end; });
  expect("loss", Part::kLoss,
         [&](auto& line) { line.loss *= 1 + 1e-15, line.grad = line.param = end; });
  expect("gradient", Part::kGradient, [&](auto& line) { line.grad = line.param = end; });
  expect("parameters", Part::kParameters, [&](auto& line) { line.param = end; });
}

TEST_F(CompareLedgers, FirstUpdateMayBeTheOne) {
  const auto result = compare_ledgers(
      write("a", 5), write("b", 5, from(1, [](auto& line) { line.batch = digest(0); })));
  EXPECT_EQ(result.divergence->a.update, 1u);
  EXPECT_THAT(summary(result), HasSubstr("Different from the first update on"));
}

TEST_F(CompareLedgers, OtherLengthsAreComparedWhereBothGo) {
  const auto result = compare_ledgers(write("a", 200), write("b", 120));
  EXPECT_TRUE(result.same);
  EXPECT_EQ(result.same_until, 120u);
  EXPECT_THAT(summary(result), HasSubstr("only A goes on, to 200"));
}

TEST_F(CompareLedgers, RecordingTensorsOrNotMakesNoDifference) {
  const auto plain = write("a", 250);
  EXPECT_TRUE(compare_ledgers(plain, write("b", 250, {}, 10)).same);
  EXPECT_TRUE(compare_ledgers(write("c", 250, {}, 7), write("d", 250, {}, 10)).same);
  const auto result = compare_ledgers(
      plain, write("e", 250, from(99, [](auto& line) { line.grad = digest(5); }), 10));
  EXPECT_EQ(result.divergence->a.update, 99u);
  EXPECT_EQ(result.tensors.update, 0u);
}

TEST_F(CompareLedgers, TensorsThatDifferAreNamed) {
  const auto a = write("a", 100, {}, 10);
  const auto result =
      compare_ledgers(a, write("b", 100, from(42, [](auto& line) { line.param = digest(5); }), 10));
  EXPECT_EQ(result.tensors.update, 50u);
  EXPECT_EQ(result.tensors.recorded, 2u);
  EXPECT_THAT(result.tensors.names, ElementsAre("trained"));
}

TEST_F(CompareLedgers, OtherBatchSizesAreAlignedBySamples) {
  const auto result = compare_ledgers(write("a", 100, {}, 0, 64), write("b", 200, {}, 0, 32));
  EXPECT_TRUE(result.aligned_by_samples);
  EXPECT_TRUE(result.same) << "both are functions of the samples seen here";
  const auto odd = [&] {
    return compare_ledgers(write("c", 3, {}, 0, 64), write("d", 3, {}, 0, 1000));
  };
  EXPECT_THROW(odd(), Error);
}

TEST_F(CompareLedgers, TensorsOfOtherBatchSizesAreComparedAfterAsManySamples) {
  const auto a = write("a", 100, {}, 5, 64);
  const auto change = [](auto& line) { line.param = digest(5); };
  const auto result = compare_ledgers(a, write("b", 200, from(30, change), 7, 32));
  ASSERT_TRUE(result.divergence);
  EXPECT_EQ(result.divergence->a.update, 15u);
  EXPECT_EQ(result.divergence->b.update, 30u);
  EXPECT_EQ(result.tensors.update, 35u) << "70 updates of 32 samples";
  EXPECT_THAT(result.tensors.names, ElementsAre("trained"));
}

TEST_F(CompareLedgers, ALedgerThatBeginsLaterIsComparedFromThere) {
  const auto b = folder_ / "b";
  ledger::Writer writer = ledger::Writer::create(b);
  for (std::uint64_t i = 41; i <= 100; ++i) writer.append(line_of(i));
  const auto result = compare_ledgers(write("a", 100), b);
  EXPECT_TRUE(result.same);
  EXPECT_EQ(result.compared_updates, 60u);
  EXPECT_FALSE(result.aligned_by_samples);
  EXPECT_THAT(summary(result), HasSubstr("all 60 updates after which both were recorded"));
}

TEST_F(CompareLedgers, WithoutACommonUpdateThereIsNoAnswer) {
  const auto empty = write("empty", 0);
  for (const auto& [a, b] : {std::pair{empty, empty}, std::pair{write("a", 5), empty}}) {
    try {
      compare_ledgers(a, b);
      FAIL() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kMismatch);
      EXPECT_THAT(error.what(), HasSubstr("no update yet"));
    }
  }
}

// Damage where two runs part is no difference between them. Line 51 is update 50.
TEST_F(CompareLedgers, EditedMissingAndRepeatedLinesAreNamedAndNoDivergence) {
  const auto a = write("a", 100);
  const std::string good = read_text(a);
  const auto begin = good.find("{\"update\":50,");
  const std::string line = good.substr(begin, good.find('\n', begin) + 1 - begin);
  std::string edited = good;
  edited[good.find("\"param\":\"", begin) + 9] = 'f';
  std::string renumbered = good;
  renumbered[begin + 10] = '9';
  const struct {
    const char* name;
    std::string text;
    const char* says;
  } cases[] = {
      {"edited", edited, "line 52: its 'prev' is not the digest"},
      {"missing", std::string(good).erase(begin, line.size()), "line 51: its 'prev' is not"},
      {"repeated", std::string(good).insert(begin, line), "line 52: its 'prev' is not"},
      {"renumbered", renumbered, "line 51: is update 90, 50 was expected"},
      {"foreign", std::string(good).insert(begin, "hello\n"), "line 51: no line of a ledger"},
      {"binary", std::string(good).insert(begin, std::string("\0\xff\n", 3)), "line 51: no line"},
  };
  for (const auto& one : cases) {
    const auto b = folder_ / one.name;
    write_text(b, one.text);
    for (const auto& [first, second] : {std::pair{a, b}, std::pair{b, a}}) {
      try {
        compare_ledgers(first, second);
        ADD_FAILURE() << one.name << ": nothing was thrown";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::kCorrupt) << one.name;
        EXPECT_THAT(error.what(), HasSubstr(b.native() + ": " + one.says));
      }
    }
  }
}

TEST_F(CompareLedgers, ADamagedLastLineIsNamed) {
  const auto a = write("a", 20);
  std::string text = read_text(a);
  text[text.rfind("\"rng\":\"") + 7] = 'x';
  const auto b = folder_ / "b";
  write_text(b, text);
  try {
    compare_ledgers(a, b);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCorrupt);
    EXPECT_THAT(error.what(), HasSubstr(b.native() + ": line 21: "));
  }
}

TEST_F(CompareLedgers, TornLastLineDoesNotCount) {
  const auto a = write("a", 50);
  const std::string text = read_text(a);
  const auto b = folder_ / "b";
  write_text(b, text.substr(0, text.size() - 10));
  const auto result = compare_ledgers(a, b);
  EXPECT_TRUE(result.same);
  EXPECT_EQ(result.updates_b, 49u);
}

// Reading backwards over them line by line must cost neither the stack nor an answer.
TEST_F(CompareLedgers, TensorsThatBelongToNoUpdateAreCorrupt) {
  const auto a = write("a", 1, {}, 1);
  std::string text = read_text(a);
  const std::string tensors = text.substr(text.find("{\"update\":1,\"tensors\""));
  for (int i = 0; i < 100'000; ++i) text += tensors;
  const auto b = folder_ / "b";
  write_text(a, text);
  write_text(b, text);
  try {
    compare_ledgers(a, b);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCorrupt);
    EXPECT_THAT(error.what(), HasSubstr("a: line 100003: holds tensors of update 1, which do not"));
  }
}

TEST_F(CompareLedgers, ForeignFileIsCorrupt) {
  const auto b = folder_ / "b";
  write_text(b, std::string(ledger::kHeaderLine) + "\nhello\n");
  EXPECT_THROW(compare_ledgers(write("a", 5), b), Error);
}

}  // namespace
}  // namespace reprise::audit
