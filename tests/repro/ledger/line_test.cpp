#include "repro/ledger/line.h"

#include "ckpt/base/error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace reprise::ledger {
namespace {

UpdateLine example() {
  UpdateLine line;
  line.update = 412;
  line.epoch = 2;
  line.samples = 105472;
  line.batch = std::string(32, '9');
  line.loss = 0.1;
  line.grad = std::string(32, 'a');
  line.param = std::string(32, 'b');
  line.rng = std::string(32, 'c');
  return line;
}

TEST(LedgerLine, ReadsBackWhatItWrote) {
  const Digest prev = sha256("before");
  const ParsedLine parsed = parse_line(encode(example(), prev));
  ASSERT_TRUE(parsed.update);
  EXPECT_EQ(*parsed.update, example());
  EXPECT_EQ(parsed.prev, prev);
}

TEST(LedgerLine, TensorsLineKeepsNamesInOrder) {
  TensorsLine line{7, {{"z\"\n", std::string(32, '1')}, {"a", std::string(32, '2')}}};
  const ParsedLine parsed = parse_line(encode(line, {}));
  ASSERT_TRUE(parsed.tensors);
  EXPECT_EQ(parsed.tensors->digests, line.digests);
}

TEST(LedgerLine, FloatsAreNotRounded) {
  for (const double value :
       {0.0, -0.0, 0.1, 1.0, -3.5e300, 5e-324, std::nextafter(1.0, 2.0),
        std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
    const auto back = parse_hex_float(hex_float(value));
    ASSERT_TRUE(back) << hex_float(value);
    EXPECT_EQ(std::bit_cast<std::uint64_t>(*back), std::bit_cast<std::uint64_t>(value));
  }
  EXPECT_TRUE(std::isnan(*parse_hex_float(hex_float(std::nan("")))));
  EXPECT_EQ(hex_float(0.75), "0x1.8p-1");
}

TEST(LedgerLine, DamagedLinesAreRefused) {
  const std::string good = encode(example(), {});
  const auto refused = [](std::string line) {
    try {
      parse_line(line);
      return false;
    } catch (const Error& error) {
      return error.code() == Code::kCorrupt;
    }
  };
  for (std::size_t length = 0; length < good.size(); ++length)
    EXPECT_TRUE(refused(good.substr(0, length)));
  for (const char* key :
       {"update", "epoch", "samples", "batch", "loss", "grad", "param", "rng", "prev"}) {
    std::string line = good;
    line.replace(line.find(std::string("\"") + key + "\""), 3, "\"x_");
    EXPECT_TRUE(refused(line)) << key;
  }
  std::string negative = good;
  negative.replace(negative.find("412"), 3, "-12");
  EXPECT_TRUE(refused(negative));
  for (const char* loss : {"0.1", "0x", "0x1.8", "--0x1p+0", "0x-1p+0", "0x1p+0 "}) {
    EXPECT_EQ(parse_hex_float(loss).has_value(), std::string_view(loss) == "0x1.8") << loss;
  }
}

}  // namespace
}  // namespace reprise::ledger
