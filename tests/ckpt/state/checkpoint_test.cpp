#include "ckpt/state/checkpoint.h"

#include "ckpt/base/error.h"
#include "tests/ckpt/store/sample_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise {
namespace {

using testing::HasSubstr;

// The error that reading a document gives after `change` was made to its root.
std::string refusal(const std::function<void(Arena&, DictNode&)>& change,
                    Code code = Code::kCorrupt) {
  const Document document = sample::model(1, 3, 0.5).to_document();
  change(*document.arena, document.root.as_dict());
  try {
    Checkpoint::from(document);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  return "accepted";
}

TEST(Checkpoint, DocumentAndBackKeepsEveryField) {
  Checkpoint c = sample::model(1, 3, 0.5);
  c.run = sample::uuid(20);
  c.parents = {{sample::uuid(2), Relation::kResumed}, {sample::uuid(3), Relation::kDistilledFrom}};
  c.fingerprint = sha256("environment");
  c.ledger = LedgerPosition{30, sha256("line")};
  c.progress->interval = IntervalSums{3, 1.0 / 3, std::numeric_limits<double>::infinity()};
  c.ema.append("fc.weight", sample::floats({3, 4}, 9));
  c.loss_func.append("center", sample::floats({1, 4}, 2));
  const Document document = c.to_document();
  const Checkpoint again = Checkpoint::from(document);
  EXPECT_EQ(again.uuid, c.uuid);
  EXPECT_EQ(again.run, c.run);
  EXPECT_EQ(again.parents, c.parents);
  EXPECT_EQ(again.fingerprint, c.fingerprint);
  EXPECT_EQ(again.ledger, c.ledger);
  EXPECT_EQ(again.progress, c.progress);
  EXPECT_EQ(again.config, c.config);
  EXPECT_EQ(again.metrics, c.metrics);
  EXPECT_EQ(again.random, c.random);
  EXPECT_EQ(again.ema.find("fc.weight")->digest(), c.ema.find("fc.weight")->digest());
  EXPECT_EQ(again.loss_func.find("center")->digest(), c.loss_func.find("center")->digest());
  EXPECT_EQ(again.optimizer.identity(), c.optimizer.identity());
  EXPECT_TRUE(again.resumable());
}

TEST(Checkpoint, WrongFieldsAreNamed) {
  EXPECT_THAT(refusal([](Arena&, DictNode& d) { d.erase("version"); }),
              HasSubstr("'version' is missing"));
  EXPECT_THAT(refusal([](Arena& a, DictNode& d) { d.set(a, "version", Value::integer(6)); },
                      Code::kUnsupported),
              HasSubstr("6 is newer than 5"));
  EXPECT_THAT(refusal([](Arena& a, DictNode& d) { d.set(a, "version", Value::integer(4)); },
                      Code::kUnsupported),
              HasSubstr("must be upgraded"));
  EXPECT_THAT(refusal([](Arena& a, DictNode& d) { d.set(a, "type", a.string("other")); }),
              HasSubstr("'other', dino, supervised or model was expected"));
  EXPECT_THAT(refusal([](Arena&, DictNode& d) { d.erase("uuid"); }),
              HasSubstr("'uuid' is missing"));
  EXPECT_THAT(refusal([](Arena& a, DictNode& d) { d.set(a, "uuid", a.string("x")); }),
              HasSubstr("a UUID was expected"));
  EXPECT_THAT(refusal([](Arena& a, DictNode& d) { d.set(a, "epoch", Value::integer(-1)); }),
              HasSubstr("at least 0"));
  EXPECT_THAT(refusal([](Arena& a, DictNode& d) { d.set(a, "config", a.string("{")); }),
              HasSubstr("config: JSON"));
  EXPECT_THAT(refusal([](Arena& a, DictNode& d) { d.set(a, "model", a.list()); }),
              HasSubstr("field 'model'"));
  EXPECT_THAT(refusal([](Arena& a, DictNode& d) {
                d.get("model").as_dict().set(a, "x", Value::integer(1));
              }),
              HasSubstr("model/x"));
  EXPECT_THAT(refusal([](Arena& a, DictNode& d) { d.set(a, "optimizer", a.dict()); }),
              HasSubstr("optimizer/state"));
  const auto with_interval = [](std::int64_t updates, const Value& loss) {
    return refusal([&](Arena& a, DictNode& d) {
      const Value interval = a.dict();
      interval.as_dict().set(a, "updates", Value::integer(updates));
      if (!loss.is_none()) interval.as_dict().set(a, "loss", loss);
      DictNode& progress = d.get("reprise").as_dict().get("progress").as_dict();
      progress.set(a, "interval", interval);
    });
  };
  EXPECT_THAT(with_interval(2, Value()), HasSubstr("progress/interval/loss' is none, a number"));
  EXPECT_THAT(with_interval(2, Value::boolean(true)), HasSubstr("interval/loss' is a bool"));
  EXPECT_THAT(with_interval(31, Value::real(1)), HasSubstr("grad_norm"));
}

TEST(Checkpoint, AnIntervalOfMoreUpdatesThanWereMadeIsRefused) {
  const std::string text = refusal([](Arena& a, DictNode& d) {
    const Value interval = a.dict();
    interval.as_dict().set(a, "updates", Value::integer(31));
    interval.as_dict().set(a, "loss", Value::real(1));
    interval.as_dict().set(a, "grad_norm", Value::real(1));
    d.get("reprise").as_dict().get("progress").as_dict().set(a, "interval", interval);
  });
  EXPECT_THAT(text, HasSubstr("interval/updates' is 31, of 30 updates done"));
}

TEST(Checkpoint, TypesHaveTheirParts) {
  Checkpoint c = sample::model(1, 1, 0.5);
  EXPECT_NO_THROW(c.validate());
  c.type = CheckpointType::kDino;
  EXPECT_THROW(c.validate(), Error);
  c = sample::head_for(1, sample::uuid(2));
  EXPECT_NO_THROW(c.validate());
  c.backbone.append("conv", sample::floats({2}, 1));
  EXPECT_THROW(c.validate(), Error);
  c.uuid_backbone.reset();
  EXPECT_NO_THROW(c.validate());
  c = sample::model(1, 1, 0.5);
  c.uuid = Uuid();
  EXPECT_THROW(c.validate(), Error);
}

TEST(Checkpoint, NamesOfTypesAndRelationsComeBack) {
  for (const auto type :
       {CheckpointType::kDino, CheckpointType::kSupervised, CheckpointType::kModel}) {
    EXPECT_EQ(checkpoint_type_from(to_string(type)), type);
  }
  for (const auto relation : {Relation::kResumed, Relation::kLoaded, Relation::kDistilledFrom,
                              Relation::kBackbone, Relation::kMigratedFrom}) {
    EXPECT_EQ(relation_from(to_string(relation)), relation);
  }
  EXPECT_EQ(to_string(Relation::kDistilledFrom), "distilled-from");
}

}  // namespace
}  // namespace reprise
