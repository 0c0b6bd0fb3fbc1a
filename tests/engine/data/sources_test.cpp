// Data on disk: image folders, CSV, IDX, CIFAR binaries; whole, odd and damaged.
#include "engine/data/sources.h"
#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "engine/data/gunzip.h"
#include "engine/data/open.h"
#include "engine/data/stored_set.h"
#include "tests/engine/data/peer_images.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

namespace reprise::engine {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

const fs::path kFiles = REPRISE_SOURCE_DIR "/tests/engine/data/files";

// A folder of its own for each test, removed afterwards.
class SourcesTest : public testing::Test {
 protected:
  SourcesTest() {
    root_ = fs::path(testing::TempDir()) /
            fmt::format("reprise-data-{}-{}", getpid(),
                        testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(root_);
  }
  ~SourcesTest() override { fs::remove_all(root_); }

  void write(const std::string& name, std::string_view content) const {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream file(root_ / name, std::ios::binary);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
  }
  void copy(const std::string& image, const std::string& name) const {
    fs::create_directories((root_ / name).parent_path());
    fs::copy_file(kFiles / image, root_ / name, fs::copy_options::overwrite_existing);
  }
  // Two classes of a few images each.
  void make_folder(const std::string& below = "") const {
    copy("jpeg-444.jpg", below + "cat/b.jpg");
    copy("jpeg-422.jpg", below + "cat/a.JPG");
    copy("rgb.png", below + "dog/deeper/c.png");
    write(below + "dog/notes.txt", "not an image");
    write(below + ".hidden/x.jpg", "not an image");
  }
  std::string path(const std::string& name = "") const { return (root_ / name).string(); }

  // The message of the failure of opening, whose code must be `code`.
  std::string refusal(const std::string& spec, Code code, const OpenOptions& options = {},
                      Split split = Split::kTrain) const {
    try {
      open_dataset(spec, split, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "opened " << spec;
    return "";
  }

  fs::path root_;
};

std::vector<std::string> names_of(const Dataset& set) {
  std::vector<std::string> names;
  for (std::uint64_t id = 0; id < set.size(); ++id) {
    names.push_back(fs::path(set.name(id)).filename().string());
  }
  return names;
}

TEST_F(SourcesTest, FolderOfClassesIsReadInSortedOrder) {
  make_folder();
  const auto set = open_dataset(path(), Split::kTrain);
  EXPECT_FALSE(has_validation(path()));
  EXPECT_THAT(set->class_names(), ElementsAre("cat", "dog"));
  EXPECT_THAT(names_of(*set), ElementsAre("a.JPG", "b.jpg", "c.png"));
  EXPECT_EQ(set->read(2).label, 1);
  EXPECT_EQ(set->target(1).label, 0);
  EXPECT_EQ(set->read(1).image.pixels, levels_of(kFiles / "jpeg-444.raw"));
  EXPECT_EQ(set->native_size(), (ImageSize{40, 40}));
}

TEST_F(SourcesTest, RootWithTrainAndTestFindsItsValidation) {
  make_folder("train/");
  copy("rgb.png", "test/dog/x.png");  // a class is missing here
  EXPECT_TRUE(has_validation(path()));
  EXPECT_EQ(open_dataset(path(), Split::kTrain)->size(), 3U);
  const auto validation = open_dataset(path(), Split::kValidation);
  EXPECT_EQ(validation->size(), 1U);
  EXPECT_EQ(validation->target(0).label, 1) << "labels mean what they mean in training";
  copy("rgb.png", "test/elk/x.png");
  EXPECT_THAT(refusal(path(), Code::kMismatch, {}, Split::kValidation), HasSubstr("class elk"));
}

TEST_F(SourcesTest, FolderWithoutImagesIsRefused) {
  write("cat/readme.txt", "x");
  EXPECT_THAT(refusal(path(), Code::kCorrupt), HasSubstr("holds no image"));
  fs::remove_all(root_ / "cat");
  EXPECT_THAT(refusal(path(), Code::kCorrupt), HasSubstr("a folder a class"));
}

TEST_F(SourcesTest, ADamagedImageStopsOrIsSkippedNamedAndCounted) {
  make_folder();
  copy("jpeg-444.jpg", "cat/0.jpg");
  fs::resize_file(root_ / "cat/0.jpg", 700);
  write("dog/z.png", "");
  OpenOptions skip;
  skip.skip_bad = true;
  const auto set = open_dataset(path(), Split::kTrain, skip);
  EXPECT_EQ(set->size(), 3U);
  ASSERT_EQ(set->bad_samples().size(), 2U);
  EXPECT_THAT(set->bad_samples()[0].name, HasSubstr("cat/0.jpg"));
  EXPECT_THAT(set->bad_samples()[1].reason, HasSubstr("empty"));
  EXPECT_THAT(names_of(*set), ElementsAre("a.JPG", "b.jpg", "c.png"));
  EXPECT_THAT(refusal(path(), Code::kCorrupt), HasSubstr("cat/0.jpg"));
  fs::remove(root_ / "cat/0.jpg");
  const auto late = open_dataset(path(), Split::kTrain);
  EXPECT_THROW(late->read(3), Error) << "the bad one is met when it is read";
}

TEST_F(SourcesTest, DigestIsOfContentNotOfOrderOrTime) {
  make_folder();
  const Digest digest = open_dataset(path(), Split::kTrain)->digest();
  // The same files made in another order, elsewhere.
  copy("rgb.png", "other/dog/deeper/c.png");
  copy("jpeg-444.jpg", "other/cat/b.jpg");
  copy("jpeg-422.jpg", "other/cat/a.JPG");
  EXPECT_EQ(open_dataset(path("other"), Split::kTrain)->digest(), digest);
  copy("jpeg-420.jpg", "other/cat/b.jpg");
  EXPECT_NE(open_dataset(path("other"), Split::kTrain)->digest(), digest);
  copy("jpeg-444.jpg", "other/cat/b.jpg");
  fs::rename(root_ / "other/cat/b.jpg", root_ / "other/dog/b.jpg");
  EXPECT_NE(open_dataset(path("other"), Split::kTrain)->digest(), digest);
  EXPECT_EQ(data_digest(root_, {"cat/b.jpg", "cat/a.JPG"}),
            data_digest(root_, {"cat/a.JPG", "cat/b.jpg", "cat/b.jpg"}));
}

TEST_F(SourcesTest, CsvWithNumbersIsRegression) {
  make_folder();
  write("index.csv", "path,steering,speed\n\"cat/a.JPG\",-0.5,3e1\r\ndog/deeper/c.png, 0.25 ,+7\n");
  const auto set = open_dataset(path("index.csv"), Split::kTrain);
  EXPECT_EQ(set->task(), Task::kRegression);
  EXPECT_EQ(set->mirror_rule(), MirrorRule::kForbids);
  EXPECT_THAT(set->target_names(), ElementsAre("steering", "speed"));
  EXPECT_THAT(set->read(0).values, ElementsAre(-0.5F, 30.0F));
  EXPECT_THAT(set->target(1).values, ElementsAre(0.25F, 7.0F));
  OpenOptions options;
  options.target_columns = {"speed"};
  EXPECT_THAT(open_dataset(path("index.csv"), Split::kTrain, options)->target(1).values,
              ElementsAre(7.0F));
  options.target_columns = {"sped"};
  EXPECT_THAT(refusal(path("index.csv"), Code::kUsage, options),
              HasSubstr("no column called sped"));
}

TEST_F(SourcesTest, CsvWithClassesAndSplit) {
  make_folder();
  write("index.csv",
        "split,file,label\ntrain,cat/a.JPG,10\nval,cat/b.jpg,9\ntrain,dog/deeper/c.png,2\n");
  EXPECT_TRUE(has_validation(path("index.csv")));
  const auto train = open_dataset(path("index.csv"), Split::kTrain);
  const auto validation = open_dataset(path("index.csv"), Split::kValidation);
  EXPECT_THAT(train->class_names(), ElementsAre("2", "9", "10"));
  EXPECT_EQ(train->size(), 2U);
  EXPECT_EQ(train->target(0).label, 2);
  EXPECT_EQ(validation->target(0).label, 1);
  EXPECT_NE(train->digest(), validation->digest());
}

TEST_F(SourcesTest, CsvThatDoesNotFitIsRefusedWithItsLine) {
  make_folder();
  write("a.csv", "name,label\ncat/a.JPG,1\n");
  EXPECT_THAT(refusal(path("a.csv"), Code::kCorrupt), HasSubstr("no column called path"));
  write("a.csv", "path,angle,b\ncat/a.JPG,0.5,1\ncat/b.jpg,left,1\n");
  EXPECT_THAT(refusal(path("a.csv"), Code::kCorrupt), HasSubstr("line 3: column angle holds left"));
  write("a.csv", "path,angle,b\ncat/a.JPG,inf,1\n");
  EXPECT_THAT(refusal(path("a.csv"), Code::kCorrupt), HasSubstr("no finite number"));
  write("a.csv", "path,angle\n");
  EXPECT_THAT(refusal(path("a.csv"), Code::kCorrupt), HasSubstr("no rows"));
  write("a.csv", "path,angle\nmissing.jpg,1\n");
  EXPECT_THAT(refusal(path("a.csv"), Code::kNotFound), HasSubstr("missing.jpg"));
  write("a.csv", "path\ncat/a.JPG\n");
  EXPECT_THAT(refusal(path("a.csv"), Code::kCorrupt), HasSubstr("no target column"));
  // One cell does not make classes of a column of numbers.
  for (const std::string odd : {"nan", "1e300", "left"}) {
    write("a.csv", "path,angle\ncat/a.JPG,0.5\ncat/b.jpg," + odd + "\ndog/deeper/c.png,0.1\n");
    EXPECT_THAT(refusal(path("a.csv"), Code::kCorrupt),
                HasSubstr("line 3: column angle holds " + odd + ", where 2 of 3 rows"));
  }
  // A row of neither half is not learnt from by mistake.
  write("a.csv", "split,path,angle\ntrain,cat/a.JPG,1\ndev,cat/b.jpg,2\n");
  EXPECT_THAT(refusal(path("a.csv"), Code::kCorrupt), HasSubstr("line 3: the split is dev"));
}

std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string idx_images(std::uint32_t count, std::uint32_t rows, std::uint32_t columns) {
  std::string text = big_endian(0x803) + big_endian(count) + big_endian(rows) + big_endian(columns);
  for (std::uint32_t i = 0; i < count * rows * columns; ++i) {
    text += static_cast<char>(i * 7);
  }
  return text;
}

std::string idx_labels(const std::string& labels) {
  return big_endian(0x801) + big_endian(static_cast<std::uint32_t>(labels.size())) + labels;
}

TEST_F(SourcesTest, IdxAsMnistHasItPlainAndPacked) {
  write("train-images-idx3-ubyte", idx_images(5, 4, 3));
  write("train-labels-idx1-ubyte", idx_labels({3, 1, 0, 2, 7}));
  write("t10k-images-idx3-ubyte", idx_images(2, 4, 3));
  write("t10k-labels-idx1-ubyte", idx_labels({1, 0}));
  ASSERT_EQ(
      std::system(
          fmt::format("gzip '{0}/t10k-images-idx3-ubyte' '{0}/t10k-labels-idx1-ubyte'", path())
              .c_str()),
      0);
  EXPECT_TRUE(has_validation(path()));
  const auto train = open_dataset(path(), Split::kTrain);
  const auto validation = open_dataset(path(), Split::kValidation);
  EXPECT_EQ(train->size(), 5U);
  EXPECT_EQ(validation->size(), 2U);
  EXPECT_EQ(train->class_names().size(), 8U);
  EXPECT_EQ(validation->class_names().size(), 8U)
      << "both halves have the classes of the larger one";
  EXPECT_EQ(train->target(4).label, 7);
  EXPECT_EQ(validation->read(1).image.pixels, train->read(1).image.pixels);
  EXPECT_EQ(train->read(1).image.pixels[0], static_cast<std::uint8_t>(12 * 7));
  EXPECT_EQ(train->native_size(), (ImageSize{4, 3}));
  EXPECT_EQ(train->channels(), 1);
  const auto alone = open_dataset(path("train-images-idx3-ubyte"), Split::kTrain);
  EXPECT_EQ(alone->size(), 5U);
}

TEST_F(SourcesTest, IdxOfAnyOtherLengthIsRefused) {
  const std::string images = idx_images(3, 4, 3);
  const std::string labels = idx_labels({0, 1, 2});
  write("train-labels-idx1-ubyte", labels);
  for (std::size_t length = 0; length < images.size(); ++length) {
    write("train-images-idx3-ubyte", images.substr(0, length));
    refusal(path(), Code::kCorrupt);
  }
  write("train-images-idx3-ubyte", images + "x");
  EXPECT_THAT(refusal(path(), Code::kCorrupt), HasSubstr("36 bytes of values, 37"));
  write("train-images-idx3-ubyte", images);
  write("train-labels-idx1-ubyte", idx_labels({0, 1}));
  EXPECT_THAT(refusal(path(), Code::kCorrupt), HasSubstr("3 images, but"));
  fs::remove(root_ / "train-labels-idx1-ubyte");
  EXPECT_THAT(refusal(path(), Code::kNotFound), HasSubstr("labels are not beside"));
}

TEST_F(SourcesTest, IdxWithAFlippedHeaderByteIsATypedErrorOrASet) {
  const std::string images = idx_images(3, 4, 3);
  write("train-labels-idx1-ubyte", idx_labels({0, 1, 2}));
  for (std::size_t at = 0; at < 16; ++at) {
    for (const int mask : {0, 1, 2, 4, 0x1f, 0x80, 0xff}) {
      std::string changed = images;
      changed[at] = static_cast<char>(changed[at] ^ mask);
      write("train-images-idx3-ubyte", changed);
      try {
        open_dataset(path(), Split::kTrain);
        EXPECT_EQ(changed, images);
      } catch (const Error& error) {
        EXPECT_TRUE(error.code() == Code::kCorrupt || error.code() == Code::kUnsupported);
      }
    }
  }
}

TEST_F(SourcesTest, GzipDamageAndBombsAreTypedErrors) {
  write("zeros", std::string(1 << 20, '\0'));
  ASSERT_EQ(std::system(fmt::format("gzip '{}'", path("zeros")).c_str()), 0);
  const auto packed = bytes_of(root_ / "zeros.gz");
  EXPECT_EQ(gunzip(packed, 1 << 20, "z").size(), std::size_t{1} << 20);
  EXPECT_THROW(gunzip(packed, (1 << 20) - 1, "z"), Error);
  for (std::size_t length = 0; length < packed.size(); length += 7) {
    EXPECT_THROW(gunzip(Bytes(packed).first(length), 1 << 20, "z"), Error) << length;
  }
  auto flipped = packed;
  flipped[packed.size() - 6] ^= std::byte{1};  // the checksum
  EXPECT_THROW(gunzip(flipped, 1 << 20, "z"), Error);
}

std::string cifar_records(const std::string& labels, std::size_t label_bytes) {
  std::string text;
  for (const char label : labels) {
    text += label_bytes == 2 ? std::string{'\x05', label} : std::string{label};
    for (int i = 0; i < 3072; ++i) {
      text += static_cast<char>(i / 1024 * 50 + i % 1024 % 32 + label);
    }
  }
  return text;
}

TEST_F(SourcesTest, CifarBinariesOfBothKinds) {
  write("ten/data_batch_1.bin", cifar_records({3, 9}, 1));
  write("ten/data_batch_2.bin", cifar_records({1}, 1));
  write("ten/test_batch.bin", cifar_records({0}, 1));
  EXPECT_TRUE(has_validation(path("ten")));
  const auto ten = open_dataset(path("ten"), Split::kTrain);
  EXPECT_EQ(ten->size(), 3U);
  EXPECT_EQ(ten->target(2).label, 1);
  EXPECT_EQ(ten->class_names()[3], "cat");
  const Image image = ten->read(1).image;
  EXPECT_EQ(image.row(2)[3 * 5], 5 + 9);
  EXPECT_EQ(image.row(2)[3 * 5 + 1], 50 + 5 + 9);
  EXPECT_EQ(image.row(2)[3 * 5 + 2], 100 + 5 + 9);
  EXPECT_EQ(open_dataset(path("ten"), Split::kValidation)->size(), 1U);

  write("hundred/train.bin", cifar_records({99, 4}, 2));
  write("hundred/test.bin", cifar_records({7}, 2));
  const auto hundred = open_dataset(path("hundred"), Split::kTrain);
  EXPECT_EQ(hundred->class_names().size(), 100U);
  EXPECT_EQ(hundred->target(0).label, 99);
  EXPECT_EQ(open_dataset(path("hundred"), Split::kValidation)->target(0).label, 7);
}

TEST_F(SourcesTest, CifarOfAnotherLengthOrLabelIsRefused) {
  const std::string records = cifar_records({3, 9}, 1);
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, std::size_t{3072}, records.size() - 1}) {
    write("data_batch_1.bin", records.substr(0, length));
    EXPECT_THAT(refusal(path(), Code::kCorrupt), HasSubstr("no whole number of CIFAR records"));
  }
  write("data_batch_1.bin", records + "x");
  refusal(path(), Code::kCorrupt);
  write("data_batch_1.bin", cifar_records({10}, 1));
  EXPECT_THAT(refusal(path(), Code::kCorrupt), HasSubstr("label 10 of 10 classes"));
  write("data_batch_1.bin", records);
  write("batches.meta.txt", "one\ntwo\n");
  EXPECT_THAT(refusal(path(), Code::kCorrupt), HasSubstr("2 class names"));
}

// Real images: the part of CIFAR-10 that the build unpacked.
TEST(RealImages, CifarSubsetOpensDecodesAndHasTenClasses) {
  const fs::path folder = REPRISE_CIFAR_SUBSET;
  if (!fs::exists(folder / "train")) {
    GTEST_SKIP() << "no cifar10-images.tar.gz below " << REPRISE_SHARED_DIR << "/data";
  }
  ASSERT_TRUE(has_validation(folder.string()));
  const auto train = open_dataset(folder.string(), Split::kTrain);
  const auto validation = open_dataset(folder.string(), Split::kValidation);
  EXPECT_EQ(train->size(), 1000U);
  EXPECT_EQ(validation->size(), 200U);
  EXPECT_EQ(train->class_names(), validation->class_names());
  EXPECT_THAT(train->class_names(), testing::SizeIs(10));
  EXPECT_EQ(train->class_names().front(), "airplane");
  OpenOptions skip;
  skip.skip_bad = true;
  EXPECT_TRUE(open_dataset(folder.string(), Split::kTrain, skip)->bad_samples().empty());
  EXPECT_EQ(train->read(0).image.size(), (ImageSize{32, 32}));
}

}  // namespace
}  // namespace reprise::engine
