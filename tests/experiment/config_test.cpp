#include "experiment/config.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "experiment/option_table.h"
#include "repro/fingerprint/difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

namespace reprise::experiment {
namespace {

using ::testing::HasSubstr;

std::string write_config(const std::string& text) {
  const auto path =
      std::filesystem::temp_directory_path() / fmt::format("config_test_{}.toml", getpid());
  write_text(path, text);
  return path.string();
}

OptionLayer layer(std::vector<std::pair<std::string, OptionValue>> given) {
  OptionLayer out{"test", {}};
  for (auto& [key, value] : given) out.given.emplace_back(find_option(key), std::move(value));
  return out;
}

// The message of the usage error that `body` throws.
template <typename Body>
std::string usage_error(Body body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUsage) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST(Config, PrintedConfigurationReadsBackEqual) {
  Config config = effective_config({layer({{"lr", 0.1},
                                           {"data", std::string("a \"quoted\"\\\tpath")},
                                           {"seed", std::int64_t{77}},
                                           {"eps", 1e-8},
                                           {"strict", false}})});
  const Config again = effective_config({read_config_file(write_config(to_toml(config)))});
  EXPECT_EQ(again, config);
}

TEST(Config, EveryOptionIsAKeyOfThePrintedConfiguration) {
  const std::string text = to_toml(effective_config({}));
  for (const OptionSpec& spec : option_table()) {
    EXPECT_THAT(text, HasSubstr("\n" + spec.key + " = "));
  }
}

// An option whose field follows from others says so in words; any other one by its field.
TEST(Options, EachSaysWhatHoldsWhenItIsNotGiven) {
  for (const OptionSpec& spec : option_table()) {
    const bool follows = std::visit(
        [](auto field) {
          const Config plain;
          using T = std::remove_cvref_t<decltype(plain.*field)>;
          return std::is_same_v<T, std::optional<double>> ||
                 std::is_same_v<T, std::optional<std::int64_t>>;
        },
        spec.field);
    EXPECT_EQ(!spec.follows.empty(), follows) << spec.key;
  }
  const auto standard = [](const char* key) { return standard_of(*find_option(key)); };
  EXPECT_EQ(standard("epochs"), "10");
  EXPECT_EQ(standard("eps"), "1e-08");
  EXPECT_EQ(standard("schedule"), "cosine");
  EXPECT_EQ(standard("validate"), "--validate");
  EXPECT_EQ(standard("async-save"), "--async-save");
  EXPECT_EQ(standard("nesterov"), "--no-nesterov");
  EXPECT_EQ(standard("work-dir"), "");
  EXPECT_EQ(standard("batch-size"), "64");
}

TEST(Config, CheckpointKeepsEveryOptionExactly) {
  const Config config =
      effective_config({layer({{"lr", 0.1 + 0.2}, {"batch-size", std::int64_t{24}}})});
  const StoredConfig stored = from_json(parse_json(dump_json(to_json(config))), "x.h5");
  EXPECT_TRUE(stored.unknown.empty());
  EXPECT_EQ(effective_config({stored.layer}), config);
}

TEST(Config, UnknownKeyIsAnsweredWithFileLineAndNearestKey) {
  const std::string path = write_config("epochs = 3\nbatch_size = 4\n");
  const std::string message = usage_error([&] { read_config_file(path); });
  EXPECT_THAT(message, HasSubstr(":2: unknown key 'batch_size'; did you mean batch-size?"));
}

TEST(Config, WrongTypeNamesKeyAndBothTypes) {
  const std::string path = write_config("epochs = \"three\"\n");
  EXPECT_THAT(usage_error([&] { effective_config({read_config_file(path)}); }),
              HasSubstr("epochs = \"three\": expected a whole number, found text"));
  EXPECT_THAT(usage_error([&] {
                effective_config({layer({{"seed", 1.5}})});
              }),
              HasSubstr("seed = 1.5: expected a whole number, found a number"));
}

TEST(Config, WholeNumberIsAcceptedWhereARealOneIsExpected) {
  EXPECT_EQ(effective_config({layer({{"lr", std::int64_t{1}}})}).lr, 1.0);
}

TEST(Config, ValueOutOfRangeNamesTheRange) {
  EXPECT_THAT(usage_error([&] {
                effective_config({layer({{"epochs", std::int64_t{0}}})});
              }),
              HasSubstr("epochs = 0: expected 1 to"));
  EXPECT_THAT(usage_error([&] {
                effective_config({layer({{"lr", std::nan("")}})});
              }),
              HasSubstr("lr = nan"));
}

TEST(Config, UnknownChoiceIsAnsweredWithTheNearest) {
  EXPECT_THAT(usage_error([&] {
                effective_config({layer({{"arch", std::string("resnet81")}})});
              }),
              HasSubstr("did you mean resnet18?"));
}

TEST(Config, BrokenTomlNamesTheLine) {
  const std::string path = write_config("epochs = 3\nlr = = 1\n");
  EXPECT_THAT(usage_error([&] { read_config_file(path); }), HasSubstr(".toml:2: "));
}

TEST(Config, TableInAConfigurationFileIsRefused) {
  const std::string path = write_config("[lr]\nvalue = 3\n");
  EXPECT_THAT(usage_error([&] { read_config_file(path); }), HasSubstr("lr: expected one value"));
}

TEST(Config, CommandLineWinsOverTheFile) {
  const Config config = effective_config(
      {layer({{"seed", std::int64_t{1}}, {"lr", 0.5}}), layer({{"seed", std::int64_t{2}}})});
  EXPECT_EQ(config.seed, 2);
  EXPECT_EQ(config.lr, 0.5);
}

TEST(Config, ContradictingOptionsAreErrors) {
  const auto whole = [](std::int64_t value) { return OptionValue(value); };
  const auto text = [](const char* value) { return OptionValue(std::string(value)); };
  using Given = std::vector<std::pair<std::string, OptionValue>>;
  for (const Given& given : {
           Given{{"batch-size", whole(8)}, {"batch-size-per-gpu", whole(4)}},
           Given{{"seed", whole(8)}, {"gen-seed", true}},
           Given{{"resume-from", text("a")}, {"load-from", text("b")}},
           Given{{"take", text("ema")}},
           Given{{"strip-prefix", text("x.")}},
           Given{{"save-best-only", true}, {"save-last-only", true}},
           Given{{"save-best-only", true}, {"validate", false}},
           Given{{"keep-last", whole(2)}, {"save-last-only", true}},
           Given{{"save-begin", whole(5)}, {"save-end", whole(3)}},
           Given{{"val-split", 0.1}, {"val-data", text("x")}},
           Given{{"work-dir", text("a")}, {"name", text("b")}},
           Given{{"warmup-epochs", 20.0}},
           Given{{"min-lr", 1.0}, {"lr", 0.1}},
           Given{{"shards", whole(8)}, {"batch-size", whole(4)}},
           Given{{"nesterov", true}, {"optimizer", text("adam")}},
           Given{{"major-metric", text("val/acc1")}},
           Given{{"name", text("../x")}},
       }) {
    EXPECT_NE(usage_error([&] { effective_config({layer(given)}); }), "") << given[0].first;
  }
}

// What is set and changes nothing is somebody's mistake.
TEST(Config, OptionsWithoutEffectAreRefused) {
  const auto text = [](const char* value) { return OptionValue(std::string(value)); };
  using Given = std::vector<std::pair<std::string, OptionValue>>;
  const std::vector<std::pair<Given, std::string>> cases = {
      {{{"momentum", 0.5}},
       "momentum = 0.5 means nothing with optimizer adamw: it is of sgd, lars"},
      {{{"beta2", 0.5}, {"optimizer", text("sgd")}}, "it is of adam, adamw"},
      {{{"nesterov", true}}, "nesterov"},
      {{{"poly-power", 2.0}}, "means nothing with schedule cosine: it is of poly"},
      {{{"lr-decay", 0.5}}, "it is of exponential"},
      {{{"min-lr", 1e-9}, {"schedule", text("constant")}}, "it is of cosine, linear, poly"},
      {{{"warmup-lr", 0.1}}, "warmup-lr = 0.1 means nothing without warmup-epochs; leave it out"},
      {{{"distill-temp", 2.0},
        {"distill", text("dense")},
        {"mode", text("distill")},
        {"teacher", text("x")}},
       "with distill dense: it is of logit"},
      {{{"loss-scale", 8.0}, {"amp", text("bf16")}}, "with amp bf16: it is of fp16"},
      {{{"patch-size", std::int64_t{4}}, {"mode", text("head")}, {"backbone", text("x")}},
       "patch-size = 4 means nothing in mode head"},
      {{{"drop-path", 0.5}, {"mode", text("head")}, {"backbone", text("x")}}, "drop-path"}};
  for (const auto& [given, message] : cases) {
    EXPECT_THAT(usage_error([&] { effective_config({layer(given)}); }), HasSubstr(message));
  }
  EXPECT_EQ(effective_config({layer({{"momentum", 0.5}, {"optimizer", text("lars")}})}).momentum,
            0.5);
  effective_config({layer({{"warmup-lr", 0.1}, {"warmup-epochs", 1.0}})});
  // A checkpoint that was trained with such an option is read as before; nothing new joins it.
  OptionLayer old = layer({{"momentum", 0.5}, {"poly-power", 2.0}});
  old.stored = true;
  EXPECT_EQ(effective_config({old, layer({{"resume-from", text("x")}})}).momentum, 0.5);
  EXPECT_NE(usage_error([&] { effective_config({old, layer({{"momentum", 0.7}})}); }), "");
  // Before it is read, what has an effect is not known.
  effective_config({layer({{"resume-from", text("x")}, {"momentum", 0.7}})});
}

TEST(Config, LaterSourceMaySayTheBatchTheOtherWay) {
  const OptionLayer file = layer({{"batch-size", std::int64_t{32}}});
  const OptionLayer line = layer({{"batch-size-per-gpu", std::int64_t{16}}});
  EXPECT_EQ(effective_config({file, line}).batch_size, 16);
}

TEST(Config, GeneratedSeedIsStoredAsASeed) {
  const Config config = effective_config({layer({{"gen-seed", true}})});
  EXPECT_FALSE(config.gen_seed);
  EXPECT_NE(config.seed, effective_config({layer({{"gen-seed", true}})}).seed);
}

TEST(Config, ShardsFollowFromTheBatch) {
  EXPECT_EQ(effective_config({layer({{"batch-size", std::int64_t{64}}})}).shards, 8);
  EXPECT_EQ(effective_config({layer({{"batch-size", std::int64_t{12}}})}).shards, 8);
  EXPECT_EQ(effective_config({layer({{"batch-size", std::int64_t{7}}})}).shards, 7);
}

TEST(Config, DifferencesSayWhetherTheyChangeBits) {
  const Config before = effective_config({});
  Config after = before;
  after.seed = 9;
  after.log_every = 3;
  after.work_dir = "elsewhere";
  const auto differences = compare_configs(before, after);
  ASSERT_EQ(differences.size(), 2U);
  EXPECT_EQ(differences[0].key, "seed");
  EXPECT_TRUE(differences[0].changes_bits);
  EXPECT_EQ(differences[1].key, "log-every");
  EXPECT_FALSE(differences[1].changes_bits);
}

TEST(Config, MoreEpochsChangeBitsUnlessTheScheduleIsConstant) {
  Config before = effective_config({layer({{"schedule", std::string("constant")}})});
  Config after = before;
  after.epochs = 99;
  EXPECT_FALSE(compare_configs(before, after).at(0).changes_bits);
  after.schedule = before.schedule = "cosine";
  EXPECT_TRUE(compare_configs(before, after).at(0).changes_bits);
}

// What no option's effect says to change bits is no likely cause of other bits, either.
TEST(Options, WithoutEffectAreUnlikelyCauses) {
  // What does change bits, though a resume may say it in other words.
  const std::set<std::string> said_otherwise = {"max-updates", "deterministic", "backbone",
                                                "teacher", "device"};
  const auto statement = [](const std::string& key, int value) -> Json {
    return {{"predicate",
             {{"buildDefinition",
               {{"externalParameters", {{"configuration", {{key, value}}}}},
                {"internalParameters", Json::object()},
                {"resolvedDependencies", Json::array()}}}}}};
  };
  for (const OptionSpec& spec : option_table()) {
    const auto found = fingerprint::differences(statement(spec.key, 1), statement(spec.key, 2));
    ASSERT_EQ(found.size(), 1u) << spec.key;
    if (spec.effect == Effect::kNone && !said_otherwise.contains(spec.key)) {
      EXPECT_EQ(found[0].influence, fingerprint::Influence::kUnlikely)
          << spec.key << ": give it a Rule in repro/fingerprint/difference.cpp";
    }
    if (spec.effect == Effect::kBits && spec.key != "data") {
      EXPECT_EQ(found[0].influence, fingerprint::Influence::kLikely) << spec.key;
    }
  }
}

}  // namespace
}  // namespace reprise::experiment
