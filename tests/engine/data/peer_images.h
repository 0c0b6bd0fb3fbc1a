// The images of make_images.py, committed or made anew, and what Pillow said of them.
#pragma once

#include "engine/data/decode.h"
#include "engine/data/resize.h"
#include "engine/data/stored_set.h"
#include "engine/data/view.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace reprise::engine {

inline std::vector<std::byte> bytes_of(const std::filesystem::path& path) {
  return read_file(path, 1 << 28);
}

inline std::vector<std::uint8_t> levels_of(const std::filesystem::path& path) {
  const auto bytes = bytes_of(path);
  std::vector<std::uint8_t> levels(bytes.size());
  std::memcpy(levels.data(), bytes.data(), bytes.size());
  return levels;
}

inline bool is_image(const std::filesystem::path& path) {
  return (path.extension() == ".jpg" || path.extension() == ".png") && path.stem() != "cmyk";
}

// Decodes, scales and normalises everything in `folder`, which must equal Pillow's bytes.
inline void expect_equal_to_peers(const std::filesystem::path& folder) {
  int decoded = 0;
  int scaled = 0;
  const Image rgb = decode_image(bytes_of(folder / "rgb.png"), "rgb.png");
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    int left, top, width, height, to_width, to_height;
    if (is_image(entry.path())) {
      auto raw = entry.path();
      const Image image = decode_image(bytes_of(entry.path()), name);
      EXPECT_TRUE(image.pixels == levels_of(raw.replace_extension(".raw"))) << name;
      EXPECT_EQ(image_size(bytes_of(entry.path()), name), image.size()) << name;
      ++decoded;
    } else if (std::sscanf(name.c_str(), "resize-%d-%d-%d-%d-%d-%d", &left, &top, &width, &height,
                           &to_width, &to_height) == 6) {
      const Image image = resize(rgb, Region{left, top, width, height}, {to_height, to_width});
      EXPECT_TRUE(image.pixels == levels_of(entry.path())) << name;
      ++scaled;
    }
  }
  EXPECT_EQ(decoded, 14);
  EXPECT_EQ(scaled, 7);

  View view;
  view.size = rgb.size();
  std::vector<float> planes(view.floats());
  render_view(rgb, view, MirrorRule::kKeeps, Stream(0, Domain::kAugmentation), planes);
  const auto expected = bytes_of(folder / "normalised.raw");
  ASSERT_EQ(expected.size(), planes.size() * sizeof(float));
  EXPECT_EQ(std::memcmp(expected.data(), planes.data(), expected.size()), 0)
      << "normalisation differs from torchvision's";
}

}  // namespace reprise::engine
