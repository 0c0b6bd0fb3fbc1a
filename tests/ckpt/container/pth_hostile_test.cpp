// Damaged and hostile .pth files: a typed error, never a crash, never silence about data.
#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/canonical.h"
#include "ckpt/container/open.h"
#include "ckpt/container/scan_file.h"
#include "tests/cpu_clock.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>

namespace reprise::container {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

const fs::path kContainers = fs::path(REPRISE_SHARED_DIR) / "legacy" / "containers";

class PthHostile : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kContainers))
      GTEST_SKIP() << kContainers << " is missing; set REPRISE_SHARED_DIR";
    std::string name = (fs::temp_directory_path() / "reprise-hostile-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  void TearDown() override {
    if (!folder_.empty()) fs::remove_all(folder_);
  }

  // The canonical JSON of a file with this content; what refusing it says in `refused_`.
  std::string read(const std::string& bytes) {
    const fs::path path = folder_ / "a.pth";
    // Not write_text(): thousands of files need not survive a power cut.
    std::ofstream(path, std::ios::binary) << bytes;
    refused_.clear();
    try {
      return canonical_json(open(path).root);
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == Code::kCorrupt || error.code() == Code::kUnsupported ||
                  error.code() == Code::kIncomplete)
          << error.what();
      refused_ = error.what();
      return "";
    }
  }

  // Replaces the only occurrences of `from`, of which there must be `count`.
  static std::string replaced(std::string bytes, const std::string& from, const std::string& to,
                              int count) {
    int found = 0;
    for (std::size_t at = bytes.find(from); at != std::string::npos;
         at = bytes.find(from, at + to.size())) {
      bytes.replace(at, from.size(), to);
      ++found;
    }
    EXPECT_EQ(found, count);
    return bytes;
  }

  fs::path folder_;
  std::string refused_;
};

TEST_F(PthHostile, EveryTruncationIsRefused) {
  for (const char* name : {"format/zip-one-tensor.pth", "format/legacy-one-tensor.pth"}) {
    const std::string whole = read_text(kContainers / name);
    ASSERT_NE(read(whole), "");
    for (std::size_t length = 0; length < whole.size(); ++length) {
      EXPECT_EQ(read(whole.substr(0, length)), "") << name << " cut to " << length;
    }
  }
}

// Whole blocks of the zeros that fill its last record may be missing: nothing says how many.
TEST_F(PthHostile, EveryTruncationOfATarIsRefusedUnlessItTakesPaddingAlone) {
  const std::string whole = read_text(kContainers / "old/tar-0.1.1.pth");
  const std::string content = read(whole);
  const std::size_t padding = (whole.find_last_not_of('\0') / 512 + 3) * 512;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::string seen = read(whole.substr(0, length));
    EXPECT_EQ(seen, length >= padding && length % 512 == 0 ? content : "") << length;
  }
  EXPECT_EQ(read(whole + std::string(511, '\0') + "x"), "");
}

TEST_F(PthHostile, NoFlippedByteOfAZipChangesWhatIsRead) {
  const std::string whole = read_text(kContainers / "format/zip-one-tensor.pth");
  const std::string content = read(whole);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0xFF);
    const std::string seen = read(damaged);
    // Padding, times and records that nobody reads may change; pickle and tensors may not.
    EXPECT_TRUE(seen.empty() || seen == content) << "byte " << i << ": " << seen;
  }
}

TEST_F(PthHostile, FlippedBytesOfLegacyAndTarNeverCrash) {
  for (const char* name : {"format/legacy-one-tensor.pth", "old/tar-0.1.1.pth"}) {
    const std::string whole = read_text(kContainers / name);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ 0xFF);
      read(damaged);
    }
  }
}

TEST_F(PthHostile, ATensorWhoseChecksumDiffersIsNamed) {
  std::string bytes = read_text(kContainers / "format/zip-one-tensor.pth");
  const std::size_t name = bytes.find("/data/0");
  const std::size_t data = (name + 64) / 64 * 64;
  bytes[data] = static_cast<char>(bytes[data] ^ 1);
  EXPECT_EQ(read(bytes), "");
  EXPECT_NE(refused_.find("data/0"), std::string::npos) << refused_;
  EXPECT_NE(refused_.find("CRC-32"), std::string::npos) << refused_;
}

TEST_F(PthHostile, HeadersThatDisagreeAreRefused) {
  std::string bytes = read_text(kContainers / "format/zip-one-tensor.pth");
  bytes.replace(bytes.find("/data/0"), 7, "/data/1");  // the local header alone
  EXPECT_EQ(read(bytes), "");
  EXPECT_NE(refused_.find("disagree"), std::string::npos) << refused_;
}

TEST_F(PthHostile, NamesThatLeaveTheArchiveAreRefused) {
  const std::string bytes = read_text(kContainers / "format/zip-one-tensor.pth");
  for (const std::string& name : {"/../a/0"s, "/data//"s, "/\\data0"s, "/da\nta0"s}) {
    EXPECT_EQ(read(replaced(bytes, "/data/0", name, 2)), "");
  }
}

TEST_F(PthHostile, SomethingInFrontOfOrBehindAnArchiveIsRefused) {
  const std::string bytes = read_text(kContainers / "format/zip-one-tensor.pth");
  EXPECT_EQ(read("#!/bin/sh\n" + bytes), "");
  EXPECT_EQ(read(bytes + "more"), "");
  EXPECT_EQ(read(read_text(kContainers / "format/legacy-one-tensor.pth") + bytes), "");
}

TEST_F(PthHostile, AStorageThatDeclaresGigabytesIsRefusedWithoutThem) {
  // 1.6 KB that declare 226 GB: a view that repeats one element.
  const std::string bytes = read_text(kContainers / "format/legacy-one-tensor.pth");
  const std::string small = "K\x03\x85";  // the shape (3,)
  ASSERT_NE(bytes.find(small), std::string::npos);
  std::string huge = bytes;
  huge.replace(huge.find(small), small.size(), "\x8a\x05\x00\x00\x00\x00\x0e\x85"s);
  EXPECT_EQ(read(huge), "");
}

// Found by fuzzing: in a tar archive one tensor of any size counted as 64 MiB at most, so that
// 4.6 KB kept a digest busy for minutes.
TEST_F(PthHostile, ATensorOfATarThatRepeatsOneElementIsRefused) {
  std::string bytes = read_text(kContainers / "old/tar-0.1.1.pth");
  const std::string plain = "\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0"s;  // extent 16, stride 1
  ASSERT_NE(bytes.find(plain), std::string::npos);
  ASSERT_NE(read(bytes), "");
  bytes.replace(bytes.find(plain), plain.size(), "\x10\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0"s);
  EXPECT_EQ(read(bytes), "");
}

// Python goes on behind a link, and behind a name that it has seen; so does a scan, which saw
// nothing of an archive that it would not read itself.
TEST_F(PthHostile, ScanSeesMembersOfATarThatIsRefused) {
  const auto member = [](const std::string& name, char type, const std::string& data) {
    std::string header(512, '\0');
    header.replace(0, name.size(), name);
    header.replace(100, 8, "0000644\0"s);
    header.replace(124, 12, fmt::format("{:011o}", data.size()) + '\0');
    header[156] = type;
    header.replace(148, 8, 8, ' ');
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    header.replace(148, 8, fmt::format("{:06o}", sum) + "\0 "s);
    return header + data + std::string((512 - data.size() % 512) % 512, '\0');
  };
  const std::string attack =
      "\x80\x02"
      "cos\nsystem\nX\x02\0\0\0ls\x85R."s;
  const std::string end(1024, '\0');
  const std::string file = member("pickle", '0', attack);
  std::string damaged = file;
  damaged[3] ^= 1;  // its checksum is wrong
  for (const std::string& bytes :
       {file + end, member("sys_info", '2', "") + file + end,
        file + member("pickle", '0', "\x80\x02N."s) + end,
        member("pickle", '0', "\x80\x02N."s) + file + end, file, file + end + "more",
        member("sys_info", '0', "x") + damaged + end,
        member("a", 'x', "14 size=99999\n") + file + end}) {
    write_text(folder_ / "a.tar", bytes);
    EXPECT_EQ(scan_file(folder_ / "a.tar").worst(), pickle::Verdict::kDangerous);
    EXPECT_EQ(read(bytes), "");
  }
}

// Each place that may begin a pickle was followed to the end of the file.
TEST_F(PthHostile, ScanOfPicklesThatLieInOneAnotherEnds) {
  std::string bytes;
  while (bytes.size() < 1'000'000) {
    std::string header = "PK\x03\x04" + std::string(26, '\0') + "a";
    header[26] = 1;
    // Text that reaches over the next header.
    bytes += header + "\x80\x02X" + std::string("\x1f\0\0\0", 4);
  }
  write_text(folder_ / "a.pth", bytes);
  const auto begun = CpuClock::now();
  const FileScan scan = scan_file(folder_ / "a.pth");
  EXPECT_LT(CpuClock::now() - begun, std::chrono::seconds(2));
  EXPECT_FALSE(scan.problems.empty());
}

TEST_F(PthHostile, ScanSeesWhatIsBehindADamagedDirectory) {
  std::string bytes = read_text(kContainers / "format/zip-one-tensor.pth");
  bytes.replace(bytes.find("ctorch._utils\n_rebuild_tensor_v2\n"), 33,
                "cos\nsystem\n\x8c\x13"
                "0123456789012345678N"s.substr(0, 33));
  bytes.resize(bytes.size() - 30);
  write_text(folder_ / "a.pth", bytes);
  const FileScan scan = scan_file(folder_ / "a.pth");
  EXPECT_EQ(scan.worst(), pickle::Verdict::kDangerous);
  EXPECT_FALSE(scan.problems.empty());
}

}  // namespace
}  // namespace reprise::container
