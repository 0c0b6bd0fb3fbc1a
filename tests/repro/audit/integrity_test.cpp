#include "repro/audit/integrity.h"

#include "ckpt/base/file.h"
#include "ckpt/base/uuid.h"
#include "ckpt/store/run_directory.h"
#include "ckpt/store/save.h"
#include "repro/ledger/reader.h"
#include "repro/ledger/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise::audit {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Integrity : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("reprise-integrity-" + Uuid::random().text());
    const store::RunDirectory run = store::RunDirectory::create(folder_);
    ledger::Writer writer = ledger::Writer::create(run.file("ledger.jsonl"));
    for (std::uint64_t update = 1; update <= 4; ++update) {
      ledger::UpdateLine line;
      line.update = update;
      line.samples = update;
      line.batch = line.grad = line.param = line.rng = std::string(32, 'a');
      writer.append(line);
      if (update == 2) saved_ = save(run, {2, writer.chain()});
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  static fs::path save(const store::RunDirectory& run, const LedgerPosition& position) {
    Checkpoint checkpoint;
    checkpoint.uuid = Uuid::random();
    checkpoint.arch = "test";
    const std::vector<float> values(1000, 0.5f);
    checkpoint.model.append(
        "w", Tensor::copy_of(DType::kFloat32, {1000}, std::as_bytes(std::span(values))));
    checkpoint.ledger = position;
    return store::save(checkpoint, run.checkpoints()).path;
  }
  // What is wrong, as "what: problem" lines.
  std::string problems() {
    std::string text;
    for (const Finding& finding : check_integrity(folder_, 1)) {
      if (!finding.problem.empty()) text += finding.what + ": " + finding.problem + "\n";
    }
    return text;
  }

  fs::path folder_, saved_;
};

TEST_F(Integrity, WholeRunHasNoProblem) {
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_EQ(check_integrity(folder_, 1).size(), 2u);
}

TEST_F(Integrity, EditedLedgerLineIsNamed) {
  std::string text = read_text(folder_ / "ledger.jsonl");
  text[text.find("\"samples\":3") + 10] = '7';
  write_text(folder_ / "ledger.jsonl", text);
  EXPECT_THAT(problems(), HasSubstr("ledger.jsonl"));
  EXPECT_THAT(problems(), HasSubstr("line 5"));
}

TEST_F(Integrity, DamagedCheckpointIsNamed) {
  std::string bytes = read_text(saved_);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_text(saved_, bytes);
  EXPECT_THAT(problems(), HasSubstr("checkpoints/"));
}

TEST_F(Integrity, CheckpointOfAnotherLedgerIsNamed) {
  save(store::RunDirectory::open(folder_), {2, sha256("another chain")});
  EXPECT_THAT(problems(), HasSubstr("does not have there"));
}

// Whoever takes a file away must not make the rest pass unseen.
TEST_F(Integrity, NothingPassesBecauseAnotherFileIsGone) {
  const std::string text = read_text(folder_ / "ledger.jsonl");
  write_text(folder_ / "ledger.jsonl", text + "garbage\n");
  fs::remove(folder_ / "run.json");
  EXPECT_THAT(problems(), HasSubstr("ledger.jsonl: line 6"));
  fs::remove_all(folder_ / "checkpoints");
  EXPECT_THAT(problems(), HasSubstr("ledger.jsonl: line 6"));
}

TEST_F(Integrity, ACheckpointWhoseLedgerIsGoneIsNamed) {
  fs::remove(folder_ / "ledger.jsonl");
  EXPECT_THAT(problems(), HasSubstr("saved at update 2 of a ledger, which is missing"));
}

TEST_F(Integrity, LinesThatAreTooLongOrWereChangedOnTheWayAreNamed) {
  const fs::path ledger = folder_ / "ledger.jsonl";
  const std::string text = read_text(ledger);
  write_text(ledger, text + std::string(ledger::kLongestLine + (2u << 20), 'x') + "\n");
  EXPECT_THAT(problems(), HasSubstr("line 6: is longer than"));
  std::string windows;
  for (const char c : text) windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
  write_text(ledger, windows);
  EXPECT_THAT(problems(), HasSubstr("line 1 ends in CR LF"));
}

TEST_F(Integrity, TornLastLineIsSaid) {
  write_text(folder_ / "ledger.jsonl", read_text(folder_ / "ledger.jsonl") + "{\"upd");
  EXPECT_THAT(problems(), HasSubstr("torn"));
}

}  // namespace
}  // namespace reprise::audit
