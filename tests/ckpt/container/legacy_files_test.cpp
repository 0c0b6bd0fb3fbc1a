// Every file that the real PyTorch wrote gives the tree it was written from.
#include "tests/ckpt/container/legacy_files.h"
#include "ckpt/base/error.h"
#include "ckpt/container/canonical.h"
#include "ckpt/container/pth_legacy.h"
#include "ckpt/container/pth_tar.h"
#include "ckpt/container/pth_zip.h"

#include <gtest/gtest.h>

namespace reprise::container {
namespace {

Document open_as(const std::string& container, const std::filesystem::path& path) {
  if (container == "legacy") return open_pth_legacy(path);
  if (container == "tar") return open_pth_tar(path);
  return open_pth_zip(path);
}

TEST(LegacyFiles, EachGivesItsCanonicalTree) {
  const std::filesystem::path folder = std::filesystem::path(REPRISE_SHARED_DIR) / "legacy";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << folder << " is missing; set REPRISE_SHARED_DIR";
  std::size_t compared = 0;
  for (const LegacyFile& file : legacy_files(folder)) {
    if (file.container == "safetensors") continue;
    SCOPED_TRACE(file.name);
    const Json expected = expected_of(folder, file.name);
    try {
      const Document document = open_as(file.container, folder / file.name);
      if (expected.contains("tensors")) {
        EXPECT_EQ(first_difference(named_tensors(document.root), expected.at("tensors")), "");
      } else {
        const std::string text = canonical_json(document.root);
        EXPECT_EQ(first_difference(parse_json(text, 2000), expected.at("tree")), "");
      }
      ++compared;
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
  EXPECT_GT(compared, 100u);
}

}  // namespace
}  // namespace reprise::container
