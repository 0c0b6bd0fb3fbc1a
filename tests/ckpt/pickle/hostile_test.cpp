// Pickles made to exhaust time, memory or the stack: a typed error, soon, in bounded memory.
#include "ckpt/base/error.h"
#include "ckpt/pickle/machine.h"
#include "tests/cpu_clock.h"

#include <gtest/gtest.h>

#include <sys/resource.h>

#include <chrono>
#include <optional>
#include <string>

namespace reprise::pickle {
namespace {

using namespace std::string_literals;

constexpr std::size_t kMegabyte = 1'000'000;

struct Outcome {
  std::optional<Code> error;
  std::string message;
  double seconds = 0;
  long grown_kib = 0;
};

long peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

Outcome read(const std::string& bytes) {
  Outcome outcome;
  const long before = peak_kib();
  const auto start = CpuClock::now();
  {
    Arena arena;
    try {
      load(arena, as_bytes(bytes));
    } catch (const Error& error) {
      outcome.error = error.code();
      outcome.message = error.what();
    }
  }
  outcome.seconds = std::chrono::duration<double>(CpuClock::now() - start).count();
  outcome.grown_kib = peak_kib() - before;
  return outcome;
}

std::string repeat(const std::string& piece, std::size_t bytes) {
  std::string all;
  while (all.size() + piece.size() <= bytes) all += piece;
  return all;
}

std::string little32(std::uint32_t value) { return {reinterpret_cast<const char*>(&value), 4}; }

// Sanitizers cost time and memory of their own; the limits themselves still hold.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kSlowdown = 20;
constexpr long kMostKib = 1 << 20;
#else
// Two: what else the machine does takes caches and clock rate.
constexpr double kSlowdown = 2;
constexpr long kMostKib = 64 << 10;
#endif

// Each either loads, because it is valid and small, or is refused; both soon.
void expect_bounded(const std::string& name, const std::string& bytes) {
  SCOPED_TRACE(name);
  const Outcome outcome = read(bytes);
  EXPECT_LT(outcome.seconds, 1.0 * kSlowdown);
  EXPECT_LT(outcome.grown_kib, kMostKib);
  if (outcome.error) {
    EXPECT_TRUE(*outcome.error == Code::kCorrupt || *outcome.error == Code::kUnsupported)
        << outcome.message;
    EXPECT_NE(outcome.message.find("byte "), std::string::npos) << outcome.message;
  }
}

TEST(PickleHostile, AMegabyteOfOneOpcodeIsBounded) {
  for (const char opcode : "(]})\x8fN\x88\x85\x86"s) {
    if (opcode == '\0') continue;
    expect_bounded(std::string(1, opcode), repeat(std::string(1, opcode), kMegabyte) + ".");
  }
  expect_bounded("DUP", "]" + repeat("2", kMegabyte) + ".");
  expect_bounded("MEMOIZE", "N" + repeat("\x94", kMegabyte) + ".");
  expect_bounded("dicts on the memo", repeat("}\x94", kMegabyte) + ".");
  expect_bounded("one tuple", "(" + repeat("N", kMegabyte) + "t.");
}

TEST(PickleHostile, NestingAMillionDeepDoesNotRecurse) {
  expect_bounded("lists", repeat("]", kMegabyte / 2) + repeat("a", kMegabyte / 2 - 1) + ".");
  expect_bounded("tuples", "N" + repeat("\x85", kMegabyte) + ".");
  expect_bounded("marks", repeat("(", kMegabyte / 2) + repeat("l", kMegabyte / 2) + ".");
}

TEST(PickleHostile, ATupleNestedDeepAsAKeyIsRefused) {
  const Outcome outcome =
      read("}(" + ("N" + repeat("\x85", 100'000)) + "N" + ("N" + repeat("\x85", 100'000)) + "Nu.");
  EXPECT_EQ(outcome.error, Code::kUnsupported) << outcome.message;
}

TEST(PickleHostile, BillionLaughsAsKeysIsRefusedSoon) {
  // t0 = (None,), t1 = (t0, t0), ... twice, so that hashes and contents are equal.
  std::string one = "N\x85";
  for (int i = 0; i < 60; ++i) one += "2\x86";
  expect_bounded("laughs", "}(" + one + "N" + one + "Nu.");
}

TEST(PickleHostile, AMemoIndexOfFourBillionCostsNothing) {
  expect_bounded("one", "Nr\xff\xff\xff\xff.");
  std::string many = "N";
  for (std::uint32_t i = 0; i < 190'000; ++i) many += "r" + little32(0x80000000u + i * 7919);
  expect_bounded("many", many + ".");
}

TEST(PickleHostile, DeclaredLengthsAreNotBelieved) {
  for (const std::string& head :
       {"X\xff\xff\xff\xff"s, "B\xff\xff\xff\xff"s, "T\xff\xff\xff\x7f"s, "\x8b\xff\xff\xff\x7f"s,
        "\x8d\xff\xff\xff\xff\xff\xff\xff\x7f"s, "\x8e\xff\xff\xff\xff\xff\xff\xff\xff"s,
        "\x96\xff\xff\xff\xff\xff\xff\xff\xff"s, "\x95\xff\xff\xff\xff\xff\xff\xff\xff"s}) {
    EXPECT_EQ(read(head + "abc.").error, Code::kCorrupt);
  }
}

TEST(PickleHostile, TextNumbersDoNotCostTheirLengthSquared) {
  expect_bounded("one of a megabyte", "L" + repeat("9", kMegabyte) + "L\n.");
  expect_bounded("many as long as allowed",
                 repeat("L" + repeat("9", 4300) + "L\n0", kMegabyte) + "N.");
}

TEST(PickleHostile, KeysThatAreFoundLateDoNotCostTheirLengthAgainAndAgain) {
  // Two keys of the same length that differ in the last byte, set in turn.
  const std::string long_text = repeat("a", kMegabyte / 3);
  const std::string head = "X" + little32(static_cast<std::uint32_t>(long_text.size() + 1));
  std::string pickle = head + long_text + "xq\x00" + head + long_text + "yq\x01" + "00}"s;
  pickle = "}"s + head + long_text + "xq"s + '\0' + "Ns"s + head + long_text + "yq\x01Ns"s;
  pickle += repeat("h"s + '\0' + "Nsh\x01Ns"s, kMegabyte / 3);
  expect_bounded("alternating", pickle + ".");
}

TEST(PickleHostile, CopiesOfCopiesRunIntoTheMemoryLimit) {
  // s = set(list), again and again of the same list of 100,000 numbers.
  std::string list = "](";
  for (int i = 0; i < 100'000; ++i) list += "M" + std::string(reinterpret_cast<const char*>(&i), 2);
  const std::string pickle = list +
                             "e\x85q\x00"
                             "0cbuiltins\nset\nq\x01"
                             "0" +
                             repeat("h\x01h"s + '\0' + "R", 600'000);
  const Outcome outcome = read(pickle + ".");
  EXPECT_TRUE(outcome.error.has_value());
  EXPECT_LT(outcome.seconds, 1.0 * kSlowdown);
  EXPECT_LT(outcome.grown_kib, kMostKib);
}

TEST(PickleHostile, ConvertingTheSameTextAgainAndAgainIsBounded) {
  const std::string path = repeat("/.", 400'000);
  const std::string pickle =
      "cpathlib\nPosixPath\nq\x01"
      "0X" +
      little32(static_cast<std::uint32_t>(path.size())) + path +
      "\x85q\x02"
      "0" +
      repeat("h\x01h\x02R0", 500'000);
  expect_bounded("path", pickle + "N.");
  const std::string text = repeat("a", 400'000) + "\xe2\x98\x83";
  const std::string encode =
      "c_codecs\nencode\nq\x01"
      "0X" +
      little32(static_cast<std::uint32_t>(text.size())) + text + "X\x06\0\0\0latin1\x86q\x02"s +
      "0" + repeat("h\x01h\x02R0", 500'000);
  expect_bounded("encode", encode + "N.");
}

TEST(PickleHostile, EveryTruncationOfARealPickleIsCorrupt) {
  const std::string whole =
      "\x80\x04\x95\x2a\0\0\0\0\0\0\0}\x94(\x8c\x05"
      "epoch\x94K\x03\x8c\x02lr\x94G\x3f\xb9\x99\x99\x99\x99\x99\x9a\x8c\x04name\x94\x8c\x03run\x94u."s;
  Arena arena;
  EXPECT_NO_THROW(load(arena, as_bytes(whole)));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(read(whole.substr(0, length)).error, Code::kCorrupt) << length;
  }
}

}  // namespace
}  // namespace reprise::pickle
