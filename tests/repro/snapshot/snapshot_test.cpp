#include "repro/snapshot/snapshot.h"

#include "ckpt/base/error.h"
#include "repro/snapshot/entry_check.h"
#include "repro/snapshot/restore.h"
#include "repro/snapshot/zip_archive.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace reprise::snapshot {
namespace {

using namespace testing_shell;
using testing::HasSubstr;

fingerprint::CodeState code_of(const fs::path& root) {
  return *fingerprint::read_code_state(root, {.patch = false});
}

// Binary, untracked, executable, linked, renamed and oddly named files, changed and not committed.
void make_dirty_repository(const fs::path& root) {
  put(root / "train.py", "print('hello')\n");
  put(root / "lib/model.py", "depth = 3\n");
  put(root / "data.bin", std::string("\0\1\2\377\0binary", 11));
  put(root / "run.sh", "#!/bin/sh\n");
  must(root, "git init -q && chmod +x run.sh && git add -A && git commit -qm first");
  put(root / "data.bin", std::string("\0\1\2\376\0other", 10));
  must(root, "git mv lib/model.py lib/renamed.py && ln -s lib/renamed.py link && chmod -x run.sh");
  must(root, "echo ignored > .git/info/exclude && echo x > ignored");
  put(root / "new\nline.sh", "#!/bin/sh\n");
  put(root / "latin-\xe9.txt", "");
  put(root / "caf\xc3\xa9/deep/file", "no newline");
  must(root, "chmod +x new*.sh");
}

Code code_thrown(const std::function<void()>& body, std::string* message = nullptr) {
  try {
    body();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code();
  }
  return Code{0};
}

TEST(Snapshot, RestoreGivesTheSameTreeByteForByte) {
  const Scratch scratch;
  make_dirty_repository(scratch / "repo");
  const auto code = code_of(scratch / "repo");
  const Snapshot snapshot = write(code, scratch / "s.zip");
  EXPECT_EQ(snapshot.tree, code.tree);
  EXPECT_EQ(snapshot.tree, git_tree_of(scratch / "repo"));
  EXPECT_EQ(snapshot.sha256, sha256_file(scratch / "s.zip"));
  EXPECT_EQ(read_tree(scratch / "s.zip"), code.tree);
  const Restored restored = restore(scratch / "s.zip", scratch / "out/code", snapshot.tree);
  EXPECT_EQ(restored.tree, code.tree);
  must(scratch.path(), "rm repo/ignored && diff -r --no-dereference -x .git repo out/code");
  must(scratch / "out/code", "test -x new*.sh && ! test -x run.sh && test -L link");
  // git itself agrees.
  must(scratch / "out/code", "git init -q");
  EXPECT_EQ(git_tree_of(scratch / "out/code"), code.tree);
}

TEST(Snapshot, SameContentGivesTheSameBytesWhateverTimesAndOrder) {
  const Scratch scratch;
  make_dirty_repository(scratch / "a");
  const Snapshot first = write(code_of(scratch / "a"), scratch / "1.zip");
  must(scratch.path(), "cp -r a b && find b -exec touch -hd '2001-02-03' {} + && rm -r b/.git");
  must(scratch / "b", "git init -q && echo ignored > .git/info/exclude && git add train.py");
  const Snapshot second = write(code_of(scratch / "b"), scratch / "2.zip", {.jobs = 1});
  EXPECT_EQ(first.sha256, second.sha256);
}

TEST(Snapshot, OverBudgetNamesTheLargestFiles) {
  const Scratch scratch;
  put(scratch / "repo/a.py", "a\n");
  must(scratch / "repo", "git init -q && truncate -s 2G huge.bin && truncate -s 6M big.bin");
  std::string message;
  // The state of a huge file costs its hash; here only its size may matter.
  fingerprint::CodeState code;
  code.root = scratch / "repo";
  for (const char* name : {"a.py", "huge.bin", "big.bin"}) {
    code.entries.push_back({name, fingerprint::GitMode::kFile, {}});
  }
  EXPECT_EQ(code_thrown([&] { write(code, scratch / "s.zip"); }, &message), Code::kNo);
  EXPECT_THAT(message, HasSubstr("huge.bin (2.0 GiB), big.bin (6.0 MiB)"));
  EXPECT_FALSE(fs::exists(scratch / "s.zip"));
  const Snapshot snapshot = write(code, scratch / "s.zip", {.exclude = {"*.bin"}});
  EXPECT_EQ(snapshot.files, 1u);
  EXPECT_THAT(snapshot.excluded, testing::ElementsAre("huge.bin", "big.bin"));
}

TEST(Snapshot, SecretsAreRefusedRedactedOrAllowed) {
  const Scratch scratch;
  const std::string token = std::string("ghp_") + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
  put(scratch / "repo/.env", "# keys\nGITHUB_TOKEN=" + token + "\nOTHER=1\n");
  must(scratch / "repo", "git init -q");
  const auto code = code_of(scratch / "repo");
  std::string message;
  EXPECT_EQ(code_thrown([&] { write(code, scratch / "s.zip"); }, &message), Code::kNo);
  EXPECT_THAT(message, HasSubstr(".env:2 (a GitHub token)"));
  EXPECT_THAT(message, testing::Not(HasSubstr(token)));
  EXPECT_FALSE(fs::exists(scratch / "s.zip"));

  const Snapshot redacted = write(code, scratch / "r.zip", {.redact = true});
  ASSERT_EQ(redacted.redacted.size(), 1u);
  EXPECT_EQ(redacted.redacted[0].line, 2u);
  EXPECT_EQ(get(scratch / "r.zip").find(token), std::string::npos);
  EXPECT_NE(redacted.tree, code.tree);
  restore(scratch / "r.zip", scratch / "out", redacted.tree);
  EXPECT_EQ(get(scratch / "out/.env"),
            "# keys\nGITHUB_TOKEN=[redacted: a GitHub token]\nOTHER=1\n");

  EXPECT_EQ(write(code, scratch / "a.zip", {.allow = {".env:2"}}).tree, code.tree);
  EXPECT_EQ(code_thrown([&] { write(code, scratch / "b.zip", {.allow = {".env:3"}}); }), Code::kNo);
}

TEST(Snapshot, SubmodulesAreTheirCommit) {
  const Scratch scratch;
  make_dirty_repository(scratch / "inner");
  put(scratch / "outer/a", "a");
  must(scratch / "outer",
       "git init -q && git -c protocol.file.allow=always submodule --quiet add ../inner sub");
  const auto code = code_of(scratch / "outer");
  const Snapshot snapshot = write(code, scratch / "s.zip");
  EXPECT_EQ(snapshot.tree, code.tree);
  restore(scratch / "s.zip", scratch / "out", code.tree);
  EXPECT_TRUE(fs::is_empty(scratch / "out/sub"));
}

TEST(Snapshot, RestoreRefusesWhatIsThere) {
  const Scratch scratch;
  make_dirty_repository(scratch / "repo");
  const Snapshot snapshot = write(code_of(scratch / "repo"), scratch / "s.zip");
  put(scratch / "out/precious", "mine");
  EXPECT_EQ(code_thrown([&] { restore(scratch / "s.zip", scratch / "out", ""); }), Code::kUsage);
  EXPECT_EQ(get(scratch / "out/precious"), "mine");
  EXPECT_EQ(code_thrown([&] { restore(scratch / "s.zip", scratch / "new", std::string(40, '0')); }),
            Code::kCorrupt);
  EXPECT_FALSE(fs::exists(scratch / "new"));
  EXPECT_EQ(must(scratch.path(), "ls -A"), "out\nrepo\ns.zip") << "something was left behind";
}

// One hostile archive each, made by hand; nothing of any of them may reach the disk.
struct Hostile {
  const char* name;
  std::vector<ZipItem> items;
  const char* says;
};

class HostileSnapshot : public testing::TestWithParam<Hostile> {};

TEST_P(HostileSnapshot, IsCorruptAndNothingIsWritten) {
  const Scratch scratch;
  put(scratch / "s.zip", write_zip(GetParam().items));
  std::string message;
  EXPECT_EQ(code_thrown([&] { restore(scratch / "s.zip", scratch / "in/out", ""); }, &message),
            Code::kCorrupt);
  EXPECT_THAT(message, HasSubstr(GetParam().says));
  EXPECT_EQ(must(scratch.path(), "find . -type f"), "./s.zip");
}

const Bytes kText = as_bytes("text");
constexpr std::uint32_t kRegular = S_IFREG | 0644;
constexpr std::uint32_t kLink = S_IFLNK | 0777;

INSTANTIATE_TEST_SUITE_P(
    Kinds, HostileSnapshot,
    testing::Values(
        Hostile{"Absolute", {{"/tmp/reprise-pwned", kText, kRegular, {}}}, "absolute"},
        Hostile{"Parent", {{"../reprise-pwned", kText, kRegular, {}}}, "leaves the tree"},
        Hostile{"ParentInside", {{"a/../../pwned", kText, kRegular, {}}}, "leaves the tree"},
        Hostile{"Dot", {{"a/./b", kText, kRegular, {}}}, "empty part"},
        Hostile{"GitHook", {{".git/hooks/post-checkout", kText, kRegular, {}}}, "git's own"},
        Hostile{"GitHookCase", {{"a/.GIT/config", kText, kRegular, {}}}, "git's own"},
        Hostile{"LinkOut", {{"l", as_bytes("../../etc/passwd"), kLink, {}}}, "out of the tree"},
        Hostile{"LinkAbsolute", {{"l", as_bytes("/etc/passwd"), kLink, {}}}, "out of the tree"},
        Hostile{"ThroughLink",
                {{"l", as_bytes("sub"), kLink, {}}, {"l/file", kText, kRegular, {}}},
                "a file and a directory"},
        Hostile{"BelowFile",
                {{"a", kText, kRegular, {}}, {"a/b", kText, kRegular, {}}},
                "a file and a directory"},
        Hostile{"Device", {{"null", {}, S_IFCHR | 0666, {}}}, "neither file nor link"},
        Hostile{"Directory", {{"d/", {}, S_IFDIR | 0755, {}}}, "no submodule"}),
    [](const auto& parameter) { return std::string(parameter.param.name); });

// libzip will not write a name twice: the second name is changed in the bytes, in both places.
TEST(HostileSnapshot, DuplicateNamesAreCorrupt) {
  const Scratch scratch;
  std::string zip = write_zip({{"aaaa", kText, kRegular, {}}, {"bbbb", kText, kRegular, {}}});
  for (std::size_t at = 0; (at = zip.find("bbbb", at)) != std::string::npos;) {
    zip.replace(at, 4, "aaaa");
  }
  put(scratch / "s.zip", zip);
  std::string message;
  EXPECT_EQ(code_thrown([&] { restore(scratch / "s.zip", scratch / "out", ""); }, &message),
            Code::kCorrupt);
  EXPECT_THAT(message, HasSubstr("one name stands for two"));
}

TEST(HostileSnapshot, BombsAreCorruptBeforeTheyAreUnpacked) {
  const Scratch scratch;
  must(scratch.path(),
       "python3 -c \"import zipfile\n"
       "z = zipfile.ZipFile('ratio.zip', 'w', zipfile.ZIP_DEFLATED)\n"
       "z.writestr('a', b'0' * 30000000)\n\"");
  RestoreOptions tight;
  tight.limit_bytes = 20'000'000;
  std::string message;
  EXPECT_EQ(
      code_thrown([&] { restore(scratch / "ratio.zip", scratch / "out", "", tight); }, &message),
      Code::kCorrupt);
  EXPECT_THAT(message, HasSubstr("bomb"));
  const std::string half(600, 'x');
  put(scratch / "many.zip",
      write_zip({{"a", as_bytes(half), kRegular, {}}, {"b", as_bytes(half), kRegular, {}}}));
  tight.limit_bytes = 1000;
  EXPECT_EQ(code_thrown([&] { restore(scratch / "many.zip", scratch / "out", "", tight); }),
            Code::kCorrupt);
  EXPECT_FALSE(fs::exists(scratch / "out"));
  std::vector<ZipEntry> entries = {{"a", UINT64_MAX, UINT64_MAX, kRegular, {}},
                                   {"b", 2, 2, kRegular, {}}};
  EXPECT_EQ(code_thrown([&] { check_entries(entries, UINT64_MAX); }), Code::kCorrupt);
}

TEST(HostileSnapshot, EveryTruncationAndManyFlippedBitsAreErrorsOrTheSameTree) {
  const Scratch scratch;
  const std::string zip =
      write_zip({{"a.py", kText, kRegular, {}}, {"b/c", as_bytes("more text"), kRegular, {}}});
  put(scratch / "s.zip", zip);
  const std::string tree = read_tree(scratch / "s.zip");
  for (std::size_t length = 0; length < zip.size(); ++length) {
    put(scratch / "s.zip", zip.substr(0, length));
    EXPECT_EQ(code_thrown([&] { read_tree(scratch / "s.zip"); }), Code::kCorrupt) << length;
  }
  for (std::size_t bit = 0; bit < zip.size() * 8; bit += 5) {
    std::string flipped = zip;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    put(scratch / "s.zip", flipped);
    // Some bits (times, versions) mean nothing here; what is read must not differ silently beyond
    // names and modes, which the tree id tells.
    try {
      read_tree(scratch / "s.zip");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kCorrupt) << bit << ": " << error.what();
    }
  }
  EXPECT_EQ(tree.size(), 40u);
}

TEST(Snapshot, LinksOutAreKeptWhenAskedFor) {
  const Scratch scratch;
  put(scratch / "s.zip", write_zip({{"l", as_bytes("/nowhere"), kLink, {}}}));
  RestoreOptions options;
  options.allow_links_out = true;
  restore(scratch / "s.zip", scratch / "out", "", options);
  EXPECT_EQ(fs::read_symlink(scratch / "out/l"), "/nowhere");
}

TEST(Snapshot, RealUnzipReadsIt) {
  const Scratch scratch;
  make_dirty_repository(scratch / "repo");
  write(code_of(scratch / "repo"), scratch / "s.zip");
  must(scratch.path(),
       "python3 -c \"import zipfile; z = zipfile.ZipFile('s.zip'); "
       "assert z.testzip() is None; assert z.read('train.py') == b'print(\\'hello\\')\\n'\"");
}

}  // namespace
}  // namespace reprise::snapshot
