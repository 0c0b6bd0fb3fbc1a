// What `ckpt tree` prints of values that occur in several places.
#include "ckpt/container/pth_write.h"
#include "tests/ckpt/cli/ckpt_process.h"

#include <gtest/gtest.h>

namespace reprise::cli {
namespace {

class Tree : public testing::Test {
 protected:
  std::string print(const Document& document, const std::string& depth) const {
    container::write_pth(scratch_ / "a.pth", document, {}, pickle::Loadable::kAnyPython);
    const Outcome outcome = ckpt(scratch_.path(), {"tree", "a.pth", "--max-depth", depth});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out;
  }

  sample::Scratch scratch_;
};

// {first: {inner: shared}, second: shared}, where shared is {deep: {value: 7, more: ...}}.
Document document_with_shared_dict() {
  Document document;
  Arena& arena = *document.arena;
  const Value deep = arena.dict();
  deep.as_dict().append(arena, "value", Value::integer(7));
  const Value shared = arena.dict();
  shared.as_dict().append(arena, "deep", deep);
  const Value first = arena.dict();
  first.as_dict().append(arena, "inner", shared);
  document.root = arena.dict();
  document.root.as_dict().append(arena, "first", first);
  document.root.as_dict().append(arena, "second", shared);
  document.root.as_dict().append(arena, "third", shared);
  return document;
}

TEST_F(Tree, ValueInTwoPlacesIsShownOnce) {
  EXPECT_EQ(print(document_with_shared_dict(), "9"),
            "dict, 3 entries\n"
            "  first: dict, 1 entries\n"
            "    inner: dict, 1 entries\n"
            "      deep: dict, 1 entries\n"
            "        value: 7\n"
            "  second: dict, 1 entries, as above\n"
            "  third: dict, 1 entries, as above\n");
}

// It once said "as above" where --max-depth had cut off what was above.
TEST_F(Tree, WhatWasCutOffAboveIsShownWhereThereIsRoom) {
  EXPECT_EQ(print(document_with_shared_dict(), "3"),
            "dict, 3 entries\n"
            "  first: dict, 1 entries\n"
            "    inner: dict, 1 entries\n"
            "      deep: dict, 1 entries, ...\n"
            "  second: dict, 1 entries\n"
            "    deep: dict, 1 entries\n"
            "      value: 7\n"
            "  third: dict, 1 entries, as above\n");
  EXPECT_EQ(print(document_with_shared_dict(), "1"),
            "dict, 3 entries\n"
            "  first: dict, 1 entries, ...\n"
            "  second: dict, 1 entries, ...\n"
            "  third: dict, 1 entries, ...\n");
}

TEST_F(Tree, AttributesOfTensorsAreShown) {
  Document document;
  Arena& arena = *document.arena;
  const Value tensor = arena.tensor(sample::floats({2}, 1));
  tensor.as_tensor().attributes = arena.dict();
  tensor.as_tensor().attributes.as_dict().append(arena, "trained", Value::boolean(true));
  document.root = arena.dict();
  document.root.as_dict().append(arena, "w", tensor);
  EXPECT_EQ(print(document, "9"),
            "dict, 1 entries\n"
            "  w: tensor float32 [2]\n"
            "    attributes: dict, 1 entries\n"
            "      trained: True\n");
  EXPECT_EQ(print(document, "1"),
            "dict, 1 entries\n"
            "  w: tensor float32 [2], ...\n");
}

}  // namespace
}  // namespace reprise::cli
