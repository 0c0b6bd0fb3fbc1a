#include "migrate/steps/upgrade.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/uuid.h"
#include "ckpt/store/upgraded_file.h"
#include "tests/migrate/steps/truth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise::migrate {
namespace {
namespace fs = std::filesystem;
using testing::differences;
using testing::legacy_folder;

Json index_of_files() {
  return Json::parse(read_text(legacy_folder() / "expected" / "index.json"));
}

TEST(Upgrade, EveryLegacyFileGivesItsTruth) {
  int compared = 0;
  const Json index = index_of_files();
  for (const Json& entry : index.at("files")) {
    const std::string name = entry.at("file");
    const fs::path truth = legacy_folder() / "expected" / (name + ".v5.json");
    if (!fs::exists(truth)) continue;
    SCOPED_TRACE(name);
    ++compared;
    const store::UpgradedFile file = store::open_upgraded(legacy_folder() / name);
    EXPECT_THAT(differences(file, truth), ::testing::IsEmpty());
    if (!entry.at("schema").is_null()) {
      EXPECT_EQ(file.upgraded.schema, entry.at("schema").get<int>());
      EXPECT_FALSE(file.upgraded.dialect);
    } else {
      EXPECT_EQ(file.upgraded.dialect, entry.at("dialect").get<std::string>());
    }
  }
  EXPECT_GT(compared, 40);
}

TEST(Upgrade, AmbiguousContentNamesTheCandidates) {
  const fs::path file = legacy_folder() / "dialects" / "ambiguous" / "checkpoint.pth";
  try {
    store::open_upgraded(file);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUsage);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("mmcv"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("vlpd"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("--dialect"));
  }
  EXPECT_EQ(store::open_upgraded(file, {.dialect = "vlpd"}).upgraded.dialect, "vlpd");
  EXPECT_EQ(store::open_upgraded(file, {.dialect = "mmcv"}).upgraded.dialect, "mmcv");
}

// Documents made by hand, for what no file at hand holds.
class UpgradeByHand : public ::testing::Test {
 protected:
  Value weights(std::string_view name = "w") {
    const Value dict = arena().dict(DictClass::kOrderedDict);
    const float one = 1;
    dict.as_dict().append(
        arena(), name,
        arena().tensor(Tensor::copy_of(DType::kFloat32, {1}, std::as_bytes(std::span(&one, 1)))));
    return dict;
  }
  void put(std::string_view key, Value value) {
    document_.root.as_dict().append(arena(), key, value);
  }
  void put(std::string_view key, std::string_view text) { put(key, arena().string(text)); }
  Arena& arena() { return *document_.arena; }
  void SetUp() override { document_.root = arena().dict(); }

  Upgraded upgraded(UpgradeOptions options = {}) {
    options.file_digest = [] { return sha256("a file"); };
    return upgrade(document_, options);
  }
  Code code(UpgradeOptions options = {}) {
    try {
      upgraded(std::move(options));
    } catch (const Error& error) {
      return error.code();
    }
    return Code::kInternal;
  }
  void put_v4(std::string_view type = "dino") {
    put("version", Value::integer(4));
    put("type", type);
    put("epoch", Value::integer(1));
    put("uuid", Uuid::random().text());
    put("arch", "vit_tiny");
  }

  Document document_;
};

// A text of a megabyte, referred to 20,000 times, asked for 20 GB.
TEST_F(UpgradeByHand, SharedTextIsNotMultiplied) {
  put_v4();
  put("student", weights());
  const Value text = arena().string(std::string(1 << 20, 'x'));
  const Value config = arena().dict();
  config.as_dict().append(arena(), "lr", Value::real(0.5));
  config.as_dict().append(arena(), "texts", arena().list(std::vector<Value>(20'000, text)));
  config.as_dict().append(arena(), "after", Value::integer(1));
  put("config", config);
  const Json read = Checkpoint::from(upgraded().document).config;
  EXPECT_EQ(read.at("lr"), 0.5);
  EXPECT_EQ(read.at("after"), 1);
  EXPECT_LT(read.dump().size(), 20u << 20);
}

TEST_F(UpgradeByHand, SharedModulesWithLongNamesAreRefused) {
  Value module;
  for (int depth = 0; depth < 18; ++depth) {
    const Value state = arena().dict();
    state.as_dict().append(arena(), "_parameters", arena().dict());
    const Value children = arena().dict();
    if (depth > 0) {
      children.as_dict().append(arena(), std::string(10'000, 'a'), module);
      children.as_dict().append(arena(), std::string(10'000, 'b'), module);
    }
    state.as_dict().append(arena(), "_modules", children);
    module = arena().opaque("torch.nn.modules.container.Sequential");
    module.as_opaque().has_state = true;
    module.as_opaque().state = state;
  }
  put_v4();
  put("student", module);
  EXPECT_EQ(code(), Code::kCorrupt);
}

TEST_F(UpgradeByHand, TheInputIsNotChanged) {
  put_v4();
  put("student", weights("module.w"));
  put("surprise", Value::integer(7));
  const std::size_t before = document_.root.as_dict().entries.size();
  const Upgraded result = upgraded();
  EXPECT_EQ(document_.root.as_dict().entries.size(), before);
  EXPECT_TRUE(document_.root.as_dict().get("student").as_dict().contains("module.w"));
  EXPECT_EQ(document_.root.as_dict().get("version").as_int(), 4);
  EXPECT_TRUE(result.document.root.as_dict().get("student").as_dict().contains("w"));
}

TEST_F(UpgradeByHand, NothingUnknownIsDropped) {
  put_v4();
  put("student", weights());
  put("git_hash", "1234");
  document_.root.as_dict().append(arena(), Value::integer(5), Value::integer(6));
  const Upgraded result = upgraded();
  EXPECT_THAT(result.unmapped, ::testing::UnorderedElementsAre("git_hash", "5"));
  const Checkpoint checkpoint = Checkpoint::from(result.document);
  EXPECT_EQ(checkpoint.unmapped.as_dict().get("git_hash").as_string(), "1234");
}

// 80,000 keys were looked for in one another and copied each time: minutes and gigabytes.
TEST_F(UpgradeByHand, ManyUnknownKeysCostLittle) {
  put_v4();
  put("student", weights());
  for (int i = 0; i < 100'000; ++i) {
    put(fmt::format("key{}", i), Value::integer(i));
    // Keys that are different objects, and have one name.
    document_.root.as_dict().append(arena(), arena().opaque("some.Class"), Value::integer(i));
  }
  const Upgraded result = upgraded();
  EXPECT_EQ(result.unmapped.size(), 200'000U);
  EXPECT_LT(result.steps.back().changed.size(), 200U) << "a line each is more than anybody reads";
  const DictNode& unmapped = Checkpoint::from(result.document).unmapped.as_dict();
  EXPECT_EQ(unmapped.get("key99999").as_int(), 99'999);
  EXPECT_EQ(unmapped.get("<some.Class>#100000").as_int(), 99'999);
}

TEST_F(UpgradeByHand, VersionFiveInNormalFormTakesNoStep) {
  put("version", Value::integer(5));
  put("type", "model");
  put("epoch", Value::integer(1));
  put("uuid", Uuid::random().text());
  put("arch", "resnet18");
  put("model", weights());
  put("config", "{}");
  put("metrics", "{}");
  EXPECT_THAT(upgraded().steps, ::testing::IsEmpty());
}

TEST_F(UpgradeByHand, NewerVersionIsUnsupported) {
  put("version", Value::integer(6));
  put("type", "dino");
  EXPECT_EQ(code(), Code::kUnsupported);
}

TEST_F(UpgradeByHand, VersionZeroOrNegativeIsCorrupt) {
  put("version", Value::integer(-1));
  put("type", "dino");
  EXPECT_EQ(code(), Code::kCorrupt);
}

TEST_F(UpgradeByHand, UnknownContentIsUnsupportedAndNamesItsKeys) {
  put("hello", "world");
  try {
    upgraded();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnsupported);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("hello"));
  }
}

TEST_F(UpgradeByHand, OptionThatContradictsTheFileIsAMismatch) {
  put_v4();
  put("student", weights());
  UpgradeOptions options;
  options.arch = "resnet50";
  EXPECT_EQ(code(options), Code::kMismatch);
}

TEST_F(UpgradeByHand, ModuleInsideItselfIsCorrupt) {
  const Value module = arena().opaque("models.Net");
  const Value state = arena().dict();
  const Value children = arena().dict();
  children.as_dict().append(arena(), "again", module);
  state.as_dict().append(arena(), "_parameters", arena().dict());
  state.as_dict().append(arena(), "_modules", children);
  module.as_opaque().state = state;
  module.as_opaque().has_state = true;
  document_.root = module;
  EXPECT_EQ(code(), Code::kCorrupt);
}

TEST_F(UpgradeByHand, ModuleSharedExponentiallyIsRefusedInBoundedTime) {
  // 60 levels, each holding the one below twice: 2^60 paths through 61 objects.
  Value below = arena().opaque("models.Leaf");
  for (int level = 0; level < 61; ++level) {
    const Value module = level == 0 ? below : arena().opaque("models.Net");
    const Value state = arena().dict();
    const Value children = arena().dict();
    if (level > 0) {
      children.as_dict().append(arena(), "a", below);
      children.as_dict().append(arena(), "b", below);
    }
    state.as_dict().append(arena(), "_parameters", arena().dict());
    state.as_dict().append(arena(), "_modules", children);
    module.as_opaque().state = state;
    module.as_opaque().has_state = true;
    below = module;
  }
  document_.root = below;
  EXPECT_EQ(code(), Code::kCorrupt);
}

TEST_F(UpgradeByHand, OptimizerKeyedByAStrangerIsCorrupt) {
  put_v4();
  put("student", weights());
  const Value optimizer = arena().opaque("torch.optim.adamw.AdamW");
  const Value object = arena().dict();
  const Value state = arena().dict(DictClass::kDefaultDict);
  const float zero = 0;
  state.as_dict().append(
      arena(),
      arena().tensor(Tensor::copy_of(DType::kFloat32, {1}, std::as_bytes(std::span(&zero, 1)))),
      arena().dict());
  object.as_dict().append(arena(), "state", state);
  object.as_dict().append(arena(), "param_groups", arena().list());
  optimizer.as_opaque().state = object;
  optimizer.as_opaque().has_state = true;
  put("optimizer", optimizer);
  EXPECT_EQ(code(), Code::kCorrupt);
}

TEST_F(UpgradeByHand, PrefixThatTellsTwoNamesApartStays) {
  put_v4();
  const Value student = weights("w");
  student.as_dict().append(arena(), "module.w", student.as_dict().entries[0].value);
  put("student", student);
  const Upgraded result = upgraded();
  EXPECT_TRUE(result.document.root.as_dict().get("student").as_dict().contains("module.w"));
}

}  // namespace
}  // namespace reprise::migrate
