#include "engine/data/decode.h"

#include "ckpt/base/error.h"
#include "tests/engine/data/peer_images.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <optional>

namespace reprise::engine {
namespace {

using testing::HasSubstr;

const std::filesystem::path kFiles = REPRISE_SOURCE_DIR "/tests/engine/data/files";

TEST(DecodeImage, GivesPillowsBytes) { expect_equal_to_peers(kFiles); }

// What decoding such bytes throws; nothing when it succeeds.
std::optional<Error> error_of(Bytes bytes) {
  try {
    decode_image(bytes, "folder/some.jpg");
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("folder/some.jpg"));
    EXPECT_TRUE(error.code() == Code::kCorrupt || error.code() == Code::kUnsupported)
        << error.what();
    return error;
  }
  return std::nullopt;
}

std::vector<std::filesystem::path> all_images() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(kFiles)) {
    if (is_image(entry.path())) {
      paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST(DecodeImage, ATruncationAtEveryLengthIsAnError) {
  for (const auto& path : all_images()) {
    const auto bytes = bytes_of(path);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_TRUE(error_of(Bytes(bytes).first(length))) << path << " cut to " << length;
    }
  }
}

TEST(DecodeImage, AFlippedByteGivesAnImageOrATypedError) {
  for (const auto& path : all_images()) {
    auto bytes = bytes_of(path);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (const int mask : {0xff, 0x01, 0x80}) {
        bytes[at] ^= static_cast<std::byte>(mask);
        error_of(bytes);
        bytes[at] ^= static_cast<std::byte>(mask);
      }
    }
  }
}

TEST(DecodeImage, AFlippedPixelByteOfAPngIsCaughtByItsChecksum) {
  auto bytes = bytes_of(kFiles / "rgb.png");
  for (std::size_t at = 60; at + 20 < bytes.size(); at += 7) {
    bytes[at] ^= std::byte{0x10};
    EXPECT_TRUE(error_of(bytes)) << at;
    bytes[at] ^= std::byte{0x10};
  }
}

// libjpeg-turbo 2.1 went on in the header of the damaged picture when it was given the next one.
TEST(DecodeImage, ADamagedHeaderDoesNotSpoilTheNextPicture) {
  const auto good = bytes_of(kFiles / "jpeg-444.jpg");
  const Image expected = decode_image(good, "good.jpg");
  for (std::size_t at = 0; at < 200; ++at) {
    auto bad = good;
    bad[at] = std::byte{0xff};
    error_of(bad);
    error_of(Bytes(good).first(at));
    ASSERT_EQ(decode_image(good, "good.jpg").pixels, expected.pixels) << at;
  }
}

TEST(DecodeImage, OtherFormatsAreUnsupported) {
  const auto of_text = [](std::string_view text) { return error_of(as_bytes(text)); };
  EXPECT_EQ(of_text("GIF89a...")->code(), Code::kUnsupported);
  EXPECT_THAT(of_text("GIF89a...")->what(), HasSubstr("47 49 46"));
  EXPECT_EQ(of_text("")->code(), Code::kCorrupt);
  EXPECT_EQ(error_of(bytes_of(kFiles / "cmyk.jpg"))->code(), Code::kUnsupported);
  EXPECT_THAT(error_of(bytes_of(kFiles / "cmyk.jpg"))->what(), HasSubstr("CMYK"));
}

// A picture of 40960 x 40960 pixels in a few bytes must not cost 5 GB.
TEST(DecodeImage, HugeDimensionsAreRefusedBeforeMemoryIsSpent) {
  auto jpeg = bytes_of(kFiles / "jpeg-444.jpg");
  for (std::size_t at = 0; at + 9 < jpeg.size(); ++at) {
    if (jpeg[at] == std::byte{0xff} && jpeg[at + 1] == std::byte{0xc0}) {
      jpeg[at + 5] = jpeg[at + 7] = std::byte{0xa0};
      jpeg[at + 6] = jpeg[at + 8] = std::byte{0};
      break;
    }
  }
  const auto error = error_of(jpeg);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kUnsupported);
  EXPECT_THAT(error->what(), HasSubstr("40960 x 40960"));
}

}  // namespace
}  // namespace reprise::engine
