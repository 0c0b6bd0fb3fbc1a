// A second implementation, in Python, agrees bit for bit.
#include "engine/random/stream.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>

namespace reprise::engine {
namespace {

constexpr int kCount = 4000;

std::map<std::string, std::string> run_reference() {
  const std::string command = fmt::format("'{}' '{}/tests/engine/random/reference.py' {}",
                                          REPRISE_PYTHON, REPRISE_SOURCE_DIR, kCount);
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  char piece[65536];
  for (std::size_t n; (n = fread(piece, 1, sizeof piece, pipe)) > 0;) {
    output.append(piece, n);
  }
  EXPECT_EQ(pclose(pipe), 0) << command;
  std::map<std::string, std::string> lines;
  std::istringstream stream(output);
  for (std::string line; std::getline(stream, line);) {
    lines[line.substr(0, line.find(' '))] = line.substr(line.find(' ') + 1);
  }
  return lines;
}

void expect_equal(const std::string& line, const Stream& stream) {
  std::istringstream fields(line);
  std::string field;
  Stream words = stream;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_TRUE(fields >> field);
    ASSERT_EQ(field, fmt::format("{:08x}", words.next_u32())) << i;
  }
  Stream floats = stream;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_TRUE(fields >> field);
    ASSERT_EQ(std::strtof(field.c_str(), nullptr), floats.next_float()) << i;
  }
  Stream normals = stream;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_TRUE(fields >> field);
    ASSERT_EQ(std::strtof(field.c_str(), nullptr), normals.normal()) << i;
  }
}

TEST(StreamReference, PythonAgreesBitForBit) {
  if (!std::filesystem::exists(REPRISE_PYTHON)) {
    GTEST_SKIP() << "no " << REPRISE_PYTHON << ": ./run test sets it up";
  }
  auto lines = run_reference();
  expect_equal(lines["order"], Stream(1337, Domain::kOrder, {0}));
  expect_equal(lines["augmentation"], Stream(~std::uint64_t{0}, Domain::kAugmentation,
                                             {7, (std::uint64_t{1} << 63) + 5, 1}));
  expect_equal(lines["weights"], Stream(42, Domain::kWeights, "backbone.blocks.3.attn.qkv.weight"));
  expect_equal(lines["empty"], Stream(0, Domain::kWeights, ""));
}

}  // namespace
}  // namespace reprise::engine
