// The Pillow and the torchvision that are installed agree byte for byte, on images made now.
#include "engine/data/roads.h"
#include "tests/engine/data/peer_images.h"

#include <fmt/format.h>

#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace reprise::engine {
namespace {

// Looks for the packages without importing them, which takes seconds.
bool has_peers() {
  const std::string command = fmt::format(
      "'{}' -c 'import importlib.util as i, sys; "
      "sys.exit(not all(map(i.find_spec, [\"PIL\", \"torchvision\"])))'",
      REPRISE_PYTHON);
  return std::system(command.c_str()) == 0;
}

TEST(DecodeInterop, PillowAndTorchvisionAgreeByteForByte) {
  if (!has_peers()) {
    GTEST_SKIP() << "no Pillow and torchvision for " << REPRISE_PYTHON
                 << ": ./run test sets them up";
  }
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / fmt::format("reprise-images-{}", getpid());
  std::filesystem::create_directories(folder);
  const Image image = roads::render_image(3, {256, 256}).image;
  std::ofstream ppm(folder / "source.ppm", std::ios::binary);
  ppm << "P6\n256 256\n255\n";
  ppm.write(reinterpret_cast<const char*>(image.pixels.data()),
            static_cast<std::streamsize>(image.pixels.size()));
  ppm.close();
  const std::string command =
      fmt::format("'{}' '{}/tests/engine/data/make_images.py' '{}' '{}' 217", REPRISE_PYTHON,
                  REPRISE_SOURCE_DIR, (folder / "source.ppm").string(), folder.string());
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  expect_equal_to_peers(folder);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace reprise::engine
