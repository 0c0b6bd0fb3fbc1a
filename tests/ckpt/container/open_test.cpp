#include "ckpt/container/open.h"

#include "ckpt/base/error.h"
#include "tests/ckpt/container/sample.h"

#include <gtest/gtest.h>

namespace reprise::container {
namespace {

using namespace std::string_view_literals;

Code refusal(const std::filesystem::path& path) {
  try {
    sniff(path);
  } catch (const Error& error) {
    EXPECT_TRUE(std::string_view(error.what()).starts_with(path.string())) << error.what();
    return error.code();
  }
  return Code::kNo;
}

TEST(Open, ContentDecidesNotTheName) {
  const ScratchFolder folder;
  write_hdf5(folder / "weights.safetensors", small_document());
  EXPECT_EQ(sniff(folder / "weights.safetensors"), Format::kNative);
  EXPECT_EQ(open(folder / "weights.safetensors").container, "hdf5");
}

TEST(Open, WhatIsNoCheckpointSaysWhatItLooksLike) {
  const ScratchFolder folder;
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"\x1f\x8b\x08\x00 packed", "gzip"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS"},
      {"<!DOCTYPE html><html>", "web page"},
      {"just text", "just tex"}};
  for (const auto& [bytes, word] : kCases) {
    write_file(folder / "x.h5", bytes);
    try {
      open(folder / "x.h5");
      ADD_FAILURE() << bytes;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kCorrupt);
      EXPECT_NE(std::string_view(error.what()).find(word), std::string_view::npos) << error.what();
    }
  }
}

TEST(Open, AnEmptyFileIsIncomplete) {
  const ScratchFolder folder;
  write_file(folder / "x.h5", "");
  EXPECT_EQ(refusal(folder / "x.h5"), Code::kIncomplete);
}

TEST(Open, AMissingFileIsNotFound) {
  const ScratchFolder folder;
  EXPECT_EQ(refusal(folder / "none.h5"), Code::kNotFound);
}

TEST(Open, ADirectoryIsRefused) {
  const ScratchFolder folder;
  EXPECT_EQ(refusal(folder.path()), Code::kCorrupt);
}

// A ZIP behind a native checkpoint: ZIP programs would open the one, we the other.
TEST(Open, APolyglotIsRefused) {
  const ScratchFolder folder;
  write_hdf5(folder / "a.h5", small_document());
  std::string bytes = read_file(folder / "a.h5");
  bytes += "PK\x05\x06"sv;
  bytes += std::string(18, '\0');
  write_file(folder / "a.h5", bytes);
  EXPECT_EQ(refusal(folder / "a.h5"), Code::kCorrupt);

  std::string tensors("\x02\0\0\0\0\0\0\0{}"sv);
  write_file(folder / "b", tensors);
  EXPECT_EQ(sniff(folder / "b"), Format::kSafetensors);
  tensors += "PK\x05\x06"sv;
  tensors += std::string(18, '\0');
  write_file(folder / "b", tensors);
  EXPECT_EQ(refusal(folder / "b"), Code::kCorrupt);
}

TEST(Open, DamageToTheMarkDoesNotMakeAForeignFile) {
  const ScratchFolder folder;
  write_hdf5(folder / "a.h5", small_document());
  std::string bytes = read_file(folder / "a.h5");
  bytes[2] = 'Q';
  write_file(folder / "a.h5", bytes);
  EXPECT_EQ(sniff(folder / "a.h5"), Format::kNative);
  EXPECT_THROW(open(folder / "a.h5"), Error);
}

}  // namespace
}  // namespace reprise::container
