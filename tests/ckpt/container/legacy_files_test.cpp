// Every file that the real PyTorch wrote gives the tree it was written from.
#include "tests/ckpt/container/legacy_files.h"
#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/canonical.h"
#include "ckpt/container/pth_legacy.h"
#include "ckpt/container/pth_tar.h"
#include "ckpt/container/pth_zip.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace reprise::container {
namespace {

Document open_as(const std::string& container, const std::filesystem::path& path) {
  if (container == "legacy") return open_pth_legacy(path);
  if (container == "tar") return open_pth_tar(path);
  return open_pth_zip(path);
}

const std::filesystem::path kShared = std::filesystem::path(REPRISE_SHARED_DIR) / "legacy";

void expect_trees(const std::filesystem::path& folder) {
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

TEST(LegacyFiles, EachGivesItsCanonicalTree) {
  if (!std::filesystem::exists(kShared))
    GTEST_SKIP() << kShared << " is missing; set REPRISE_SHARED_DIR";
  expect_trees(kShared);
}

// Other seeds: other values, shapes, names and epochs, made by the real PyTorch now.
class OtherSeeds : public testing::TestWithParam<int> {};

TEST_P(OtherSeeds, EachGivesItsCanonicalTree) {
  if (!std::filesystem::exists(kShared) || !std::filesystem::exists(REPRISE_PYTHON)) {
    GTEST_SKIP() << "needs " << kShared << " and " << REPRISE_PYTHON
                 << ": ./run test installs Python";
  }
  std::string name = (std::filesystem::temp_directory_path() / "reprise-seed-XXXXXX").string();
  const std::filesystem::path folder = mkdtemp(name.data());
  const std::string command = std::string(REPRISE_PYTHON) + " -W ignore " +
                              (kShared / "generate.py").string() + " " + folder.string() +
                              " --seed " + std::to_string(GetParam()) + " > " +
                              (folder / "log").string() + " 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0) << read_text(folder / "log");
  expect_trees(folder);
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(LegacyFilesSlow, OtherSeeds, testing::Values(2, 11, 47));

}  // namespace
}  // namespace reprise::container
