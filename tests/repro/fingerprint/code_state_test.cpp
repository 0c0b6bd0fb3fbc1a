#include "repro/fingerprint/code_state.h"

#include "ckpt/base/error.h"
#include "ckpt/base/sha256.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace reprise::fingerprint {
namespace {

using namespace testing_shell;
using testing::HasSubstr;

// A repository with a text file, a binary file, an executable, a link and a nested directory.
void make_repository(const fs::path& root) {
  put(root / "train.py", "print('hello')\n");
  put(root / "lib/model.py", "depth = 3\n");
  put(root / "lib.py", "sorts between lib and lib/\n");
  put(root / "run.sh", "#!/bin/sh\n");
  put(root / "data.bin", std::string("\0\1\2\377\0binary", 11));
  put(root / ".gitignore", "*.log\n/out/\n");
  must(root,
       "git init -q -b main && chmod +x run.sh && ln -s lib/model.py link && git add -A && "
       "git commit -qm first");
}

// Everything below a directory that could be changed by reading, .git with it.
std::string listing(const fs::path& root) {
  return must(root, "find . -type f -printf '%p %s %T@ %m ' -exec sha256sum {} \\; | sort");
}

CodeState read(const fs::path& place) {
  auto state = read_code_state(place);
  EXPECT_TRUE(state.has_value());
  return state.value_or(CodeState{});
}

TEST(CodeState, CleanRepository) {
  const Scratch scratch;
  make_repository(scratch.path());
  must(scratch.path(), "git remote add origin https://user:hunter22@example.org/a.git");
  const CodeState state = read(scratch / "lib");
  EXPECT_EQ(state.root, scratch.path());
  EXPECT_EQ(state.commit, must(scratch.path(), "git rev-parse HEAD"));
  EXPECT_EQ(state.branch, "main");
  EXPECT_EQ(state.remote, "https://example.org/a.git");
  EXPECT_FALSE(state.dirty);
  EXPECT_EQ(state.patch, "");
  EXPECT_EQ(state.tree, must(scratch.path(), "git rev-parse HEAD^{tree}"));
}

TEST(CodeState, OutsideARepositoryThereIsNone) {
  const Scratch scratch;
  EXPECT_FALSE(read_code_state(scratch.path()).has_value());
}

// Staged, unstaged, untracked, deleted, renamed, retyped, re-moded, binary, and ignored files.
void make_dirty(const fs::path& root) {
  put(root / "train.py", "print('changed')\n");
  put(root / "staged.py", "staged = 1\n");
  must(root, "git add staged.py && echo more >> staged.py");
  must(root, "git mv lib/model.py lib/renamed.py && git rm -q --cached lib.py");
  must(root, "chmod -x run.sh && rm link && ln -s train.py link");
  put(root / "data.bin", std::string("\0\1\2\376\0other", 10));
  put(root / "new/deep/er/file.txt", "no newline at end");
  put(root / "new.bin", std::string("\0new\0", 5));
  put(root / "new.sh", "#!/bin/sh\n");
  must(root, "chmod +x new.sh && ln -s /nowhere/at/all dangling");
  put(root / "ignored.log", "not part of it\n");
  put(root / "out/ignored.txt", "not part of it\n");
  put(root / "empty", "");
}

TEST(CodeState, TreeOfADirtyWorkingCopyIsWhatGitWouldWrite) {
  const Scratch scratch;
  make_repository(scratch.path());
  make_dirty(scratch.path());
  const std::string before = listing(scratch.path());
  const CodeState state = read(scratch.path());
  EXPECT_EQ(listing(scratch.path()), before) << "reading touched the repository";
  EXPECT_TRUE(state.dirty);
  EXPECT_EQ(state.tree, git_tree_of(scratch.path()));
}

TEST(CodeState, PatchAppliedToTheCommitGivesTheTree) {
  const Scratch scratch;
  make_repository(scratch / "a");
  make_dirty(scratch / "a");
  const CodeState state = read(scratch / "a");
  EXPECT_THAT(state.omitted, testing::IsEmpty());
  EXPECT_THAT(state.patch, HasSubstr("GIT binary patch"));
  put(scratch / "p.patch", state.patch);
  must(scratch.path(), "git clone -q a b");
  must(scratch / "b", "git apply --index --binary ../p.patch");
  EXPECT_EQ(must(scratch / "b", "git write-tree"), state.tree);
}

TEST(CodeState, FileReplacedByDirectoryAndBack) {
  const Scratch scratch;
  make_repository(scratch.path());
  must(scratch.path(), "rm -r lib && echo file > lib && rm train.py && mkdir train.py");
  put(scratch / "train.py/inside", "x");
  const CodeState state = read(scratch.path());
  EXPECT_EQ(state.tree, git_tree_of(scratch.path()));
  must(scratch.path(), "git clone -q . .git/clone");
  put(scratch / ".git/p.patch", state.patch);
  EXPECT_EQ(must(scratch / ".git/clone", "git apply --index ../p.patch && git write-tree"),
            state.tree);
  must(scratch.path(), "rm lib && mkdir elsewhere && cp data.bin elsewhere/model.py");
  must(scratch.path(), "ln -s elsewhere lib");  // lib/model.py is tracked, behind a link now
  EXPECT_EQ(read(scratch.path()).tree, git_tree_of(scratch.path()));
}

TEST(CodeState, NamesWithNewlineQuoteAndInvalidUtf8) {
  const Scratch scratch;
  make_repository(scratch.path());
  put(scratch / "new\nline.py", "a = 1\n");
  put(scratch / "quote\"tab\t.py", "b = 1\n");
  put(scratch / "latin-\xe9.py", "c = 1\n");
  put(scratch / "caf\xc3\xa9/d.py", "d = 1\n");
  const CodeState state = read(scratch.path());
  EXPECT_EQ(state.tree, git_tree_of(scratch.path()));
  put(scratch.path().native() + ".patch", state.patch);
  must(scratch.path(),
       "git clone -q . ../clone-$$ && cd ../clone-$$ && git apply --index \"$OLDPWD.patch\" && "
       "git write-tree > \"$OLDPWD.tree\"; cd .. && rm -rf clone-$$");
  EXPECT_EQ(get(scratch.path().native() + ".tree"), state.tree + "\n");
  must(scratch.path(), "rm \"$PWD.patch\" \"$PWD.tree\"");
}

TEST(CodeState, NoCommitsYet) {
  const Scratch scratch;
  put(scratch / "a.py", "a\n");
  must(scratch.path(), "git init -q -b trunk");
  const CodeState state = read(scratch.path());
  EXPECT_EQ(state.commit, "");
  EXPECT_EQ(state.branch, "trunk");
  EXPECT_TRUE(state.dirty);
  EXPECT_EQ(state.tree, git_tree_of(scratch.path()));
  EXPECT_THAT(state.patch, HasSubstr("+a\n"));
}

TEST(CodeState, DetachedHead) {
  const Scratch scratch;
  make_repository(scratch.path());
  must(scratch.path(), "git checkout -q --detach");
  const CodeState state = read(scratch.path());
  EXPECT_EQ(state.branch, "");
  EXPECT_EQ(state.commit, must(scratch.path(), "git rev-parse HEAD"));
  EXPECT_FALSE(state.dirty);
}

TEST(CodeState, LinkedWorktree) {
  const Scratch scratch;
  make_repository(scratch / "main");
  must(scratch / "main", "git worktree add -q ../side -b side");
  put(scratch / "side/extra.py", "x = 1\n");
  const CodeState state = read(scratch / "side");
  EXPECT_TRUE(state.worktree);
  EXPECT_EQ(state.branch, "side");
  EXPECT_EQ(state.root, scratch / "side");
  EXPECT_EQ(state.tree, git_tree_of(scratch / "side"));
  EXPECT_FALSE(read(scratch / "main").dirty);
}

TEST(CodeState, SubmoduleAtAnotherCommitAndDirty) {
  const Scratch scratch;
  make_repository(scratch / "inner");
  make_repository(scratch / "outer");
  must(
      scratch / "outer",
      "git -c protocol.file.allow=always submodule --quiet add ../inner sub && git commit -qm sub");
  CodeState state = read(scratch / "outer");
  EXPECT_FALSE(state.dirty);
  ASSERT_EQ(state.submodules.size(), 1u);
  EXPECT_EQ(state.submodules[0].path, "sub");
  EXPECT_FALSE(state.submodules[0].dirty);
  EXPECT_EQ(state.submodules[0].commit, state.submodules[0].recorded);

  must(scratch / "outer/sub",
       "echo 1 > more && git add more && git commit -qm more && echo 2 > dirt");
  state = read(scratch / "outer");
  EXPECT_EQ(state.tree, git_tree_of(scratch / "outer"));
  EXPECT_TRUE(state.dirty);
  EXPECT_TRUE(state.submodules[0].dirty);
  EXPECT_NE(state.submodules[0].commit, state.submodules[0].recorded);
  EXPECT_EQ(state.submodules[0].tree, git_tree_of(scratch / "outer/sub"));
}

TEST(CodeState, NestedRepositoryIsItsCommit) {
  const Scratch scratch;
  make_repository(scratch.path());
  make_repository(scratch / "vendored");
  EXPECT_EQ(read(scratch.path()).tree, git_tree_of(scratch.path()));
}

TEST(CodeState, UnmergedFilesAreTakenAsTheyStand) {
  const Scratch scratch;
  make_repository(scratch.path());
  must(scratch.path(),
       "git checkout -q -b other && echo other > train.py && git commit -qam other && "
       "git checkout -q main && echo mine > train.py && git commit -qam mine");
  EXPECT_NE(shell(scratch.path(), "git merge other").code, 0);
  EXPECT_EQ(read(scratch.path()).tree, git_tree_of(scratch.path()));
}

TEST(CodeState, LineEndsAreHashedAsGitWould) {
  const Scratch scratch;
  put(scratch / ".gitattributes", "*.txt text eol=crlf\n");
  put(scratch / "a.txt", "one\r\ntwo\r\n");
  must(scratch.path(), "git init -q && git add -A && git commit -qm crlf");
  put(scratch / "a.txt", "one\r\nthree\r\n");
  put(scratch / "b.txt", "new\r\n");
  EXPECT_EQ(read(scratch.path()).tree, git_tree_of(scratch.path()));
}

TEST(CodeState, SkippedFilesOfASparseCheckoutAreNotDeleted) {
  const Scratch scratch;
  make_repository(scratch.path());
  must(scratch.path(), "git sparse-checkout set --no-cone '/*' '!/lib/'");
  ASSERT_FALSE(fs::exists(scratch / "lib/model.py"));
  EXPECT_EQ(read(scratch.path()).tree, git_tree_of(scratch.path()));
}

// A container that mounts the user's repository runs as somebody else; git would refuse it.
TEST(CodeState, RepositoryOfAnotherOwnerIsRead) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give files away";
  const Scratch scratch;
  make_repository(scratch.path());
  const std::string tree = git_tree_of(scratch.path());
  must(scratch.path(), "chown -R 12345:12345 .");
  ASSERT_THAT(shell(scratch.path(), "git status").out, HasSubstr("safe.directory"));
  const CodeState state = read(scratch.path());
  EXPECT_TRUE(state.owned_by_another);
  EXPECT_EQ(state.tree, tree);
}

TEST(CodeState, NothingOfTheConfigurationIsRun) {
  const Scratch scratch;
  make_repository(scratch.path());
  must(scratch.path(),
       "git config core.fsmonitor 'touch pwned' && git config filter.evil.clean 'touch pwned' && "
       "git config diff.external 'touch pwned' && git config diff.x.textconv 'touch pwned' && "
       "echo '*.py filter=evil diff=x' > .gitattributes && echo changed > train.py");
  const CodeState state = read(scratch.path());
  EXPECT_FALSE(fs::exists(scratch / "pwned"));
  EXPECT_THAT(state.notes, testing::Not(testing::IsEmpty()));
}

TEST(CodeState, BigAndSecretFilesStayOutOfThePatchAndAreNamed) {
  const Scratch scratch;
  make_repository(scratch.path());
  must(scratch.path(), "truncate -s 2G big.bin");
  const std::string token = "ghp_" + std::string("a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
  put(scratch / ".env", "GITHUB_TOKEN=" + token + "\n");
  const CodeState state = read(scratch.path());
  ASSERT_EQ(state.omitted.size(), 2u);
  EXPECT_EQ(state.omitted[0].path, ".env");
  EXPECT_THAT(state.omitted[0].reason, HasSubstr("GitHub token"));
  EXPECT_EQ(state.omitted[1].path, "big.bin");
  EXPECT_EQ(state.patch.find(token), std::string::npos);
}

TEST(CodeState, DamagedIndexIsCorrupt) {
  const Scratch scratch;
  make_repository(scratch.path());
  put(scratch / ".git/index", "not an index");
  try {
    read_code_state(scratch.path());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCorrupt);
    EXPECT_THAT(error.what(), HasSubstr(scratch.path().native()));
  }
}

TEST(CodeState, Sha256RepositoryIsUnsupported) {
  const Scratch scratch;
  must(scratch.path(), "git init -q --object-format=sha256");
  try {
    read_code_state(scratch.path());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnsupported) << error.what();
  }
}

TEST(WithoutCredentials, KeepsWhatIsNoSecret) {
  EXPECT_EQ(without_credentials("https://u:p@example.org:8443/x.git?token=1#f"),
            "https://example.org:8443/x.git");
  EXPECT_EQ(without_credentials("https://token@example.org/x"), "https://example.org/x");
  EXPECT_EQ(without_credentials("git@example.org:a/b.git"), "git@example.org:a/b.git");
  EXPECT_EQ(without_credentials("ssh://git:p@example.org/x"), "ssh://git@example.org/x");
  EXPECT_EQ(without_credentials("/srv/a@b/x.git"), "/srv/a@b/x.git");
}

TEST(GitTree, ContradictingEntriesAreCorrupt) {
  const GitId id = blob_id({});
  EXPECT_EQ(id.hex(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  EXPECT_EQ(tree_id({}).hex(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
  const auto tree = [&](std::vector<std::string> paths) {
    std::vector<TreeEntry> entries;
    for (const std::string& path : paths) entries.push_back({path, GitMode::kFile, id});
    return tree_id(entries);
  };
  EXPECT_THROW(tree({"a", "a"}), Error);
  EXPECT_THROW(tree({"a", "a.c", "a/b"}), Error);
  EXPECT_NO_THROW(tree({"a.c", "a/b", "ab"}));
}

}  // namespace
}  // namespace reprise::fingerprint
