// A real fingerprint in which one value at a time is of another kind, or gone: everything that
// reads fingerprints takes it or refuses it with an error of ours.
#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "repro/audit/explain.h"
#include "repro/export/mlflow.h"
#include "repro/export/ro_crate.h"
#include "repro/fingerprint/difference.h"
#include "repro/fingerprint/fingerprint.h"
#include "repro/report/page.h"
#include "tests/repro/cli/written_run.h"

#include <gtest/gtest.h>

#include <functional>

namespace reprise {
namespace {

using namespace testing_shell;
using Pointer = Json::json_pointer;

// Thousands of small durable writes: in memory they cost nothing.
const bool kInMemory = fs::is_directory("/dev/shm") && setenv("TMPDIR", "/dev/shm", 1) == 0;

// Every value below `json`, parents first. Of lists and of the environment the first ones: the
// others are read in the same way.
void places_of(const Json& json, const Pointer& here, std::vector<Pointer>& out) {
  std::size_t taken = 0;
  const auto add = [&](const Json& value, const Pointer& place) {
    if (++taken > 12) return;
    out.push_back(place);
    places_of(value, place, out);
  };
  if (json.is_object()) {
    for (const auto& [key, value] : json.items()) add(value, here / key);
  } else if (json.is_array()) {
    for (std::size_t i = 0; i < json.size(); ++i) add(json[i], here / i);
  }
}

void take_away(Json& statement, const Pointer& place) {
  Json& parent = statement[place.parent_pointer()];
  if (parent.is_array()) {
    parent.erase(std::stoul(place.back()));
  } else {
    parent.erase(place.back());
  }
}

class HostileStatement : public testing::Test {
 protected:
  void SetUp() override {
    put(scratch_ / "repo/train.py", "print(1)\n");
    put(scratch_ / "repo/data/a", "1");
    must(scratch_ / "repo",
         "git init -q && echo data > .gitignore && git add -A && git commit -qm first && "
         "echo 'print(2)' > train.py");
    make_run(scratch_ / "run", 50);
    must(scratch_ / "repo", std::string(REPRISE_BIN_REPRO) +
                                " run -q -o ../run --data train=data -- python3 train.py");
    whole_ = parse_json(get(scratch_ / "run/fingerprint.json"));
    Json& external = whole_["predicate"]["buildDefinition"]["externalParameters"];
    external["configuration"] = {{"lr", 0.5}, {"major-metric", "val/acc1:max"}, {"seed", 1}};
    external["seeds"] = {{"seed", 1}};
    Json& records = whole_["predicate"]["runDetails"]["reprise_records"];
    records[0]["from_update"] = 0;
    records[0]["state"] = std::string(32, 'a');
    records.push_back(records[0]);
    records[1]["kind"] = "resume";
    records[1]["from_update"] = 2;
    records[1]["differs"] = {{"configuration.lr", 0.25}};
    other_ = whole_;
    other_["predicate"]["buildDefinition"]["externalParameters"]["seeds"]["seed"] = 2;
    places_of(whole_, Pointer(), places_);
    divergence_.a.update = divergence_.b.update = 3;
    divergence_.state_before = std::string(32, 'b');
  }

  // `read` with every damage; says where something other than an error of ours came out.
  void each_damage(const std::function<void(const Json& damaged)>& read) {
    const Json kinds[] = {nullptr,
                          true,
                          -1,
                          1e300,
                          "text",
                          Json::array(),
                          Json::object(),
                          Json::array({1}),
                          Json::array({Json::object()}),
                          {{"sha256", 7}, {"tree", 7}, {"name", 7}}};
    ASSERT_GT(places_.size(), 50u);
    std::size_t refused = 0;
    for (const Pointer& place : places_) {
      for (std::size_t kind = 0; kind <= std::size(kinds); ++kind) {
        Json damaged = whole_;
        if (kind < std::size(kinds)) {
          damaged[place] = kinds[kind];
        } else {
          take_away(damaged, place);
        }
        try {
          read(damaged);
        } catch (const Error& error) {
          ++refused;
          EXPECT_NE(error.code(), Code::kInternal) << place << " kind " << kind << error.what();
        } catch (const std::exception& error) {
          ADD_FAILURE() << place << " kind " << kind << ": " << error.what();
        }
      }
    }
    EXPECT_GT(refused, 50u);
  }

  void write(const Json& statement) const {
    std::ofstream(scratch_ / "run/fingerprint.json") << dump_json(statement);
  }

  Scratch scratch_;
  Json whole_, other_;
  std::vector<Pointer> places_;
  audit::Divergence divergence_;
};

TEST_F(HostileStatement, IsComparedAndExplainedOrRefused) {
  each_damage([&](const Json& damaged) {
    write(damaged);
    const Json read = fingerprint::load(scratch_ / "run");
    fingerprint::differences(read, other_);
    fingerprint::differences(other_, read);
    fingerprint::digest(read);
    for (const audit::Part what : {audit::Part::kData, audit::Part::kParameters}) {
      divergence_.what = what;
      audit::explain(divergence_, read, other_);
      audit::explain(divergence_, other_, read);
    }
  });
}

TEST_F(HostileStatement, IsShownOrRefused) {
  each_damage([&](const Json& damaged) {
    write(damaged);
    report::PageContent content;
    content.runs = {report::read_run(scratch_ / "run")};
    content.health = {report::health_of(content.runs[0], false, 1)};
    // What could not be read is said in the page, so what can be is refused here.
    if (content.runs[0].fingerprint.is_null()) fingerprint::load(scratch_ / "run");
    report::page(content);
  });
}

TEST_F(HostileStatement, IsGoneOnWithOrRefused) {
  fingerprint::Fingerprint captured;
  captured.statement = other_;
  // Durable writes take their time: only damage that this reads.
  std::erase_if(places_, [](const Pointer& place) {
    const std::string text = place.to_string();
    return text.find("/internalParameters/") != text.npos ||
           text.find("/environment/") != text.npos;
  });
  each_damage([&](const Json& damaged) {
    write(damaged);
    fingerprint::name_for_snapshot(scratch_ / "run", std::string(40, 'a'));
    const std::string id = fingerprint::record(scratch_ / "run", captured, {.kind = "resume"});
    fingerprint::finish(scratch_ / "run", id, 0, 1);
    fingerprint::load(scratch_ / "run");
  });
}

TEST_F(HostileStatement, IsExportedOrRefused) {
  const report::RunRecord run = report::read_run(scratch_ / "run");
  std::erase_if(places_, [](const Pointer& place) {
    const std::string text = place.to_string();
    return text.find("/internalParameters/") != text.npos ||
           text.find("/environment/") != text.npos || text.find("/runDetails/") != text.npos;
  });
  each_damage([&](const Json& damaged) {
    write(damaged);
    report::RunRecord read = run;
    read.fingerprint = fingerprint::load(scratch_ / "run");
    const Scratch target;
    exporting::export_mlflow(read, "e", target / "mlflow");
    exporting::export_ro_crate(read, {}, target / "crate");
  });
}

}  // namespace
}  // namespace reprise
