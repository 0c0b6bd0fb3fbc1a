// Event files, read back by the real TensorBoard.
#include "repro/tensorboard/event_writer.h"

#include "repro/tensorboard/record_file.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise::tensorboard {
namespace {

using ::testing::ElementsAre;
using testing_shell::get;
using testing_shell::must;
using testing_shell::put;
using testing_shell::Scratch;

namespace fs = std::filesystem;

Json read_by_tensorboard(const fs::path& folder) {
  return parse_json(must("/", std::string(REPRISE_PYTHON) +
                                  " " REPRISE_SOURCE_DIR
                                  "/tests/repro/tensorboard/read_events.py " +
                                  folder.string() + " 2>/dev/null"));
}

void write_steps(EventWriter& events, std::uint64_t first, std::uint64_t last, double offset) {
  for (std::uint64_t step = first; step <= last; ++step) {
    const std::pair<std::string, double> values[] = {
        {"train/loss", static_cast<double>(step) / 2 + offset}, {"val/acc1", 50.0}};
    events.scalars(step, values);
  }
}

std::vector<std::uint64_t> steps(const Json& answer) {
  std::vector<std::uint64_t> out;
  for (const Json& point : answer.at("scalars").at("train/loss")) {
    out.push_back(point.at(0).get<std::uint64_t>());
  }
  return out;
}

TEST(RecordFile, ChecksumsAreThoseOfRfc3720) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
}

TEST(RecordFile, TornAndDamagedRecordsEndTheFile) {
  const Scratch scratch;
  const std::string whole = framed("first") + framed("second");
  for (std::size_t size = framed("first").size(); size < whole.size(); ++size) {
    put(scratch / "torn", whole.substr(0, size));
    EXPECT_EQ(read_records(scratch / "torn", [](auto) { return true; }), framed("first").size());
  }
  for (std::size_t at = framed("first").size(); at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    put(scratch / "damaged", damaged);
    EXPECT_EQ(read_records(scratch / "damaged", [](auto) { return true; }), framed("first").size());
  }
}

class Events : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(REPRISE_PYTHON)) GTEST_SKIP() << "needs " REPRISE_PYTHON;
  }
  Scratch scratch_;
  fs::path folder_ = scratch_ / "events";
};

TEST_F(Events, TensorBoardReadsScalarsImagesAndSettings) {
  std::vector<std::uint8_t> pixels(2 * 3 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 13);
  {
    EventWriter events(folder_, 0);
    const std::vector<std::string> metrics = {"val/acc1"};
    events.settings({{"lr", 0.5}, {"arch", "vit_tiny"}, {"nesterov", true}}, metrics);
    events.image(0, "sample", {3, 2, 3, pixels});
    write_steps(events, 1, 3, 0);
    events.end(true);
  }
  const Json answer = read_by_tensorboard(folder_);
  EXPECT_EQ(answer.at("scalars").at("train/loss"), Json::parse("[[1,0.5],[2,1.0],[3,1.5]]"));
  EXPECT_EQ(answer.at("scalars").at("val/acc1").size(), 3u);
  EXPECT_EQ(answer.at("settings"), Json::parse(R"({"arch":"vit_tiny","lr":0.5,"nesterov":true})"));
  EXPECT_EQ(answer.at("metrics"), Json::parse(R"(["val/acc1"])"));
  EXPECT_EQ(answer.at("ended"), Json::parse("[1]"));
  const Json& image = answer.at("images").at("sample").at(0);
  EXPECT_EQ(image.at(1), 3);
  EXPECT_EQ(image.at(2), 2);
  // The picture itself, decoded by Pillow.
  put(scratch_ / "image.b64", image.at(3).get<std::string>());
  const std::string decoded =
      must(scratch_.path(), "base64 -d image.b64 >image.png && " + std::string(REPRISE_PYTHON) +
                                " -c 'from PIL import Image; print(*Image.open(\"image.png\")"
                                ".convert(\"RGB\").tobytes())'");
  std::string expected;
  for (const std::uint8_t value : pixels) {
    expected += (expected.empty() ? "" : " ") + std::to_string(value);
  }
  EXPECT_EQ(decoded, expected);
}

TEST_F(Events, AResumedRunHasNoStepTwice) {
  {
    EventWriter events(folder_, 0);
    write_steps(events, 1, 9, 0);
  }
  // What a killed process leaves: the last event torn.
  const fs::path file = fs::directory_iterator(folder_)->path();
  fs::resize_file(file, fs::file_size(file) - 3);
  cut_back(folder_, 5);
  {
    EventWriter events(folder_, 6);
    write_steps(events, 6, 8, 100);
  }
  const Json answer = read_by_tensorboard(folder_);
  EXPECT_THAT(steps(answer), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_EQ(answer.at("scalars").at("train/loss").at(5).at(1), 103.0);
}

TEST_F(Events, AReaderThatIsOpenForgetsWhatWasTakenBack) {
  // Without cutting back: the mark in the second file alone.
  {
    EventWriter events(folder_, 0);
    write_steps(events, 1, 9, 0);
  }
  fs::rename(fs::directory_iterator(folder_)->path(), folder_ / "events.out.tfevents.1.here.1.0");
  {
    EventWriter events(folder_, 6);
    write_steps(events, 6, 7, 100);
  }
  EXPECT_THAT(steps(read_by_tensorboard(folder_)), ElementsAre(1, 2, 3, 4, 5, 6, 7));
}

}  // namespace
}  // namespace reprise::tensorboard
