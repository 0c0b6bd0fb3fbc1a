#include "ckpt/base/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <system_error>

namespace reprise {
namespace {

TEST(Error, CodesAreExitCodesAndNeverChange) {
  EXPECT_EQ(static_cast<int>(Code::kNo), 1);
  EXPECT_EQ(static_cast<int>(Code::kUsage), 2);
  EXPECT_EQ(static_cast<int>(Code::kNotFound), 10);
  EXPECT_EQ(static_cast<int>(Code::kIo), 11);
  EXPECT_EQ(static_cast<int>(Code::kCorrupt), 12);
  EXPECT_EQ(static_cast<int>(Code::kUnsupported), 13);
  EXPECT_EQ(static_cast<int>(Code::kIncomplete), 14);
  EXPECT_EQ(static_cast<int>(Code::kMismatch), 15);
  EXPECT_EQ(static_cast<int>(Code::kInternal), 70);
  EXPECT_EQ(static_cast<int>(Code::kStopped), 75);
}

TEST(Error, PlaceIsPutInFront) {
  const Error error = Error(Code::kCorrupt, "byte 3: odd").at("a.h5");
  EXPECT_STREQ(error.what(), "a.h5: byte 3: odd");
  EXPECT_EQ(error.exit_code(), 12);
}

TEST(Error, SystemErrorsSayWhatToDo) {
  const auto message = [](int number, Code code) {
    try {
      fail_errno(number, "x");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message(ENOENT, Code::kNotFound), "x: No such file or directory");
  EXPECT_EQ(message(ENOSPC, Code::kIo),
            "x: No space left on device; free some space (ckpt clean --dry-run shows what could "
            "go) and run it again");
  EXPECT_NE(message(EACCES, Code::kIo).find("choose a directory"), std::string::npos);
  try {
    fail_errno_reading(EACCES, "x");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kIo);
    EXPECT_STREQ(error.what(), "x: Permission denied; its permissions do not let you read it");
  }
}

TEST(Printable, ControlCharactersAndBadUtf8AreEscaped) {
  EXPECT_EQ(printable("plain name.0"), "plain name.0");
  EXPECT_EQ(printable("a\033[2J\n\x7f"), "a\\x1b[2J\\x0a\\x7f");
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(printable("\xc3\xa9\xe2\x82\xac"), "\xc3\xa9\xe2\x82\xac");
  // C1 controls drive terminals too; overlong forms hide what they are.
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(Printable, LongTextIsCutAtACharacter) {
  EXPECT_EQ(printable("abcdef", 4), "abcd...");
  EXPECT_EQ(printable("abcd", 4), "abcd");
  EXPECT_EQ(printable("\xc3\xa9\xc3\xa9\xc3\xa9", 3), "\xc3\xa9\xc3\xa9...");
}

TEST(Error, EveryExceptionHasTheCodeThatAProgramEndsWith) {
  EXPECT_EQ(code_of(Error(Code::kMismatch, "of another model")), Code::kMismatch);
  EXPECT_EQ(code_of(std::bad_alloc()), Code::kIo);
  EXPECT_EQ(code_of(std::filesystem::filesystem_error("no", std::error_code())), Code::kIo);
  EXPECT_EQ(code_of(std::logic_error("ours")), Code::kInternal);
}

}  // namespace
}  // namespace reprise
