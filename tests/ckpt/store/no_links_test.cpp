// Saving on a file system that has no hard links, as exFAT.
#include "ckpt/store/checkpoint_name.h"
#include "ckpt/store/load.h"
#include "ckpt/store/run_directory.h"
#include "ckpt/store/save.h"
#include "tests/ckpt/store/sample_checkpoint.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace {
int refused = 0;
}

// In place of the C library's.
extern "C" int link(const char*, const char*) noexcept {
  ++refused;
  errno = EPERM;
  return -1;
}

namespace reprise::store {
namespace {

TEST(WithoutHardLinks, RollingSaveThatIsSomebodysBackboneIsCopied) {
  const sample::Scratch root;
  const RunDirectory run = RunDirectory::create(root / "net");
  const RunDirectory other = RunDirectory::create(root / "head");
  save(sample::model(1, 1, 0.1), run.checkpoints(), {.kind = SaveKind::kRolling});
  save(sample::head_for(9, sample::uuid(1)), other.checkpoints());
  save(sample::model(2, 2, 0.2), run.checkpoints(), {.kind = SaveKind::kRolling});
  const auto kept =
      run.checkpoints() / checkpoint_name(sample::model(1, 1, 0.1), SaveKind::kPersistent);
  EXPECT_EQ(load(kept.native()).uuid, sample::uuid(1));
  EXPECT_EQ(refused, 1) << "the test did not see the call";
  EXPECT_EQ(run.list().size(), 2U);
}

}  // namespace
}  // namespace reprise::store
