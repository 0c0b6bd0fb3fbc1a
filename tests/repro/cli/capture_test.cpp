// `repro capture`, `run`, `diff` and `restore` as a user meets them: processes, exit codes, files.
#include "ckpt/base/json.h"
#include "ckpt/base/sha256.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace reprise {
namespace {

using namespace testing_shell;
using testing::HasSubstr;
using testing::Not;

const std::string kRepro = REPRISE_BIN_REPRO;

Outcome repro(const fs::path& directory, const std::string& arguments) {
  return shell(directory, kRepro + " " + arguments);
}

Json statement_of(const fs::path& run) { return parse_json(get(run / "fingerprint.json")); }

void make_repository(const fs::path& root) {
  put(root / "train.py", "import sys\nsys.exit(int(sys.argv[1]))\n");
  must(root, "git init -q -b main && git add -A && git commit -qm first");
}

TEST(Capture, WritesAnInTotoStatement) {
  const Scratch scratch;
  make_repository(scratch.path());
  const Outcome outcome = repro(scratch.path(), "capture -o runs/a --json");
  ASSERT_EQ(outcome.code, 0) << outcome.out;
  const Json statement = statement_of(scratch / "runs/a");
  EXPECT_EQ(statement["_type"], "https://in-toto.io/Statement/v1");
  EXPECT_EQ(statement["predicateType"], "https://slsa.dev/provenance/v1");
  const Json& definition = statement["predicate"]["buildDefinition"];
  const Json& code = definition["resolvedDependencies"][0];
  EXPECT_EQ(code["digest"]["gitCommit"], must(scratch.path(), "git rev-parse HEAD"));
  EXPECT_EQ(code["digest"]["gitTree"], must(scratch.path(), "git rev-parse HEAD^{tree}"));
  const Json& internal = definition["internalParameters"];
  EXPECT_GT(internal["hardware"]["memory_bytes"], 0);
  EXPECT_EQ(internal["software"]["hostname"], must(scratch.path(), "uname -n"));
  EXPECT_EQ(statement["subject"][0]["digest"]["sha256"], parse_json(outcome.out)["digest"]);
  for (const Json& byproduct : statement["predicate"]["runDetails"]["byproducts"]) {
    EXPECT_EQ(byproduct["digest"]["sha256"],
              sha256_file(scratch / "runs/a" / byproduct["name"].get<std::string>()).hex());
  }
}

TEST(Capture, WhatARunWritesDoesNotChangeTheNextFingerprint) {
  const Scratch scratch;
  make_repository(scratch.path());
  const Outcome a = repro(scratch.path(), "capture -o runs/a --json");
  const Outcome b = repro(scratch.path(), "capture -o runs/b --json");
  EXPECT_EQ(parse_json(a.out)["digest"], parse_json(b.out)["digest"]);
  EXPECT_EQ(sha256_file(scratch / "runs/a/snapshot.zip"),
            sha256_file(scratch / "runs/b/snapshot.zip"));
  EXPECT_EQ(repro(scratch.path(), "diff runs/a runs/b").code, 0);
}

TEST(Capture, WithoutARepositorySaysSo) {
  const Scratch scratch;
  const Outcome outcome = repro(scratch.path(), "capture -o run");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("no git repository"));
  EXPECT_FALSE(fs::exists(scratch / "run/snapshot.zip"));
}

TEST(Capture, SecretsReachNoFile) {
  const Scratch scratch;
  make_repository(scratch.path());
  const std::string token = std::string("ghp_") + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
  const std::string password = std::string("s3cr3t") + "Value77";
  must(scratch.path(), "git remote add origin https://me:" + password + "@git.internal/x.git");
  put(scratch / ".env", "GITHUB_TOKEN=" + token + "\n");
  const Outcome refused = repro(scratch.path(), "capture -o run");
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.out, HasSubstr(".env:1"));
  EXPECT_FALSE(fs::exists(scratch / "run"));

  const Outcome outcome =
      shell(scratch.path(), "TORCH_TOKEN=" + token + " MY_PASSWORD=" + password + " " + kRepro +
                                " run --env MY_PASSWORD -o run --redact -- true --api-key " +
                                password + " --password=" + password + " " + token);
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_THAT(outcome.out, Not(HasSubstr(token)));
  for (const auto& file : fs::directory_iterator(scratch / "run")) {
    EXPECT_THAT(get(file.path()), Not(HasSubstr(token))) << file.path();
    EXPECT_THAT(get(file.path()), Not(HasSubstr(password))) << file.path();
  }
}

TEST(Capture, ATwoGigabyteUntrackedFileIsRefusedByNameAndCanBeLeftOut) {
  const Scratch scratch;
  make_repository(scratch.path());
  must(scratch.path(), "truncate -s 2G checkpoint.bin");
  const Outcome refused = repro(scratch.path(), "capture -o run");
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.out, HasSubstr("checkpoint.bin (2.0 GiB)"));
  must(scratch.path(), "truncate -s 8M checkpoint.bin");
  const Outcome outcome = repro(scratch.path(), "capture -o run --exclude '*.bin'");
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_THAT(get(scratch / "run/fingerprint.json"), HasSubstr("\"excluded\""));
}

TEST(Capture, ASecretInAnUntrackedFileIsRefusedRedactedOrAllowed) {
  const Scratch scratch;
  make_repository(scratch.path());
  const std::string token = std::string("ghp_") + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
  put(scratch / ".env", "# of the lab\nGITHUB_TOKEN=" + token + "\n");
  const Outcome refused = repro(scratch.path(), "capture -o refused");
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.out, HasSubstr(".env:2 (a GitHub token)"));
  EXPECT_THAT(refused.out, HasSubstr("--redact"));
  EXPECT_THAT(refused.out, HasSubstr("--allow"));

  EXPECT_EQ(repro(scratch.path(), "capture -o redacted --redact").code, 0);
  EXPECT_EQ(must(scratch.path(), "grep -rl " + token + " redacted || true"), "");
  EXPECT_EQ(repro(scratch.path(), "restore redacted r").code, 0);
  EXPECT_EQ(get(scratch / "r/.env"), "# of the lab\nGITHUB_TOKEN=[redacted: a GitHub token]\n");

  EXPECT_EQ(repro(scratch.path(), "capture -o other --allow .env:1").code, 1) << "another line";
  EXPECT_EQ(repro(scratch.path(), "capture -o allowed --allow .env:2").code, 0);
  EXPECT_EQ(repro(scratch.path(), "restore allowed a").code, 0);
  EXPECT_EQ(get(scratch / "a/.env"), get(scratch / ".env"));
}

TEST(Capture, SecretsInNamesOfPlacesReachNoFile) {
  const Scratch scratch;
  const std::string token = std::string("ghp_") + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
  const fs::path place = scratch / token;
  make_repository(place);
  put(place / "data/x", "1");
  must(place, "git checkout -q -b " + token + " && echo data > .git/info/exclude");
  const Outcome outcome =
      repro(place, "capture --no-snapshot -o ../run --data train=data --data " + token + "=data");
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_THAT(get(scratch / "run/fingerprint.json"), Not(HasSubstr(token)));
}

TEST(Capture, WhatIsNoDirectoryIsSaidAndLeftAlone) {
  const Scratch scratch;
  make_repository(scratch.path());
  const std::string before = get(scratch / "train.py");
  const Outcome file = repro(scratch.path(), "capture -o train.py");
  EXPECT_EQ(file.code, 2);
  EXPECT_THAT(file.out, HasSubstr("train.py is no directory"));
  EXPECT_EQ(get(scratch / "train.py"), before);
  const Outcome unset = repro(scratch.path(), "capture -o \"$NO_SUCH_VARIABLE\"");
  EXPECT_EQ(unset.code, 2);
  EXPECT_THAT(unset.out, HasSubstr("--output: is empty"));
  EXPECT_THAT(repro(scratch.path(), "diff . .").out,
              HasSubstr("repro capture and repro run write"));
}

TEST(Capture, SizesOfTheBudget) {
  const Scratch scratch;
  make_repository(scratch.path());
  must(scratch.path(), "head -c 300000 /dev/zero > a.bin; head -c 200000 /dev/zero > b.bin");
  const Outcome over = repro(scratch.path(), "capture -o run --budget 400kB");
  EXPECT_EQ(over.code, 1);
  EXPECT_THAT(over.out, HasSubstr("a.bin"));
  EXPECT_EQ(repro(scratch.path(), "capture -o run --file-limit 0.25MB").code, 1);
  const Outcome bad = repro(scratch.path(), "capture -o run --budget 4kilo");
  EXPECT_EQ(bad.code, 2);
  EXPECT_THAT(bad.out, HasSubstr("--budget: '4kilo' is no size"));
  EXPECT_FALSE(fs::exists(scratch / "run"));
  EXPECT_EQ(repro(scratch.path(), "capture -o run --budget 1MiB").code, 0);
}

// What people have beside a plain repository: each is captured, restored, and is what git says.
class OddRepository : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(OddRepository, IsCapturedAndRestored) {
  const std::string kind = GetParam().first;
  if (kind == "OfAnotherOwner" && geteuid() != 0) GTEST_SKIP() << "needs root to give files away";
  const Scratch scratch;
  put(scratch / "inner/model.py", "depth = 3\n");
  must(scratch / "inner", "git init -q && git add -A && git commit -qm inner");
  if (kind != "NoCommitsYet") make_repository(scratch / "repo");
  fs::create_directories(scratch / "repo");
  must(scratch / "repo", GetParam().second);
  const fs::path place = fs::exists(scratch / "side") ? scratch / "side" : scratch / "repo";
  put(place / "untracked.py", "x = 1\n");

  const Outcome captured = repro(place, "capture -q --json -o ../run");
  ASSERT_EQ(captured.code, 0) << captured.out;
  const std::string json = captured.out.substr(captured.out.find("{\n"));
  const std::string tree = parse_json(json)["tree"].get<std::string>();
  EXPECT_EQ(repro(scratch.path(), "verify run").code, 0);
  ASSERT_EQ(repro(scratch.path(), "restore run out").code, 0);
  must(scratch.path(), "chown -R $(id -u):$(id -g) repo");
  EXPECT_EQ(git_tree_of(place), tree);
  must(scratch / "out", "git init -q");
  if (kind != "Submodule") {
    EXPECT_EQ(git_tree_of(scratch / "out"), tree);
  }
  // Another run of it has an equal fingerprint.
  ASSERT_EQ(repro(place, "capture -q -o ../again >/dev/null").code, 0);
  if (kind != "OfAnotherOwner") {
    EXPECT_EQ(repro(scratch.path(), "diff run again").code, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, OddRepository,
    testing::Values(std::pair{"NameWithNewline", "echo a > \"$(printf 'new\\nline.py')\""},
                    std::pair{"NameOfInvalidUtf8", "echo a > \"$(printf 'latin-\\351.py')\""},
                    std::pair{"Submodule",
                              "git -c protocol.file.allow=always submodule --quiet add ../inner "
                              "sub && git commit -qm sub"},
                    std::pair{"LinkedWorktree", "git worktree add -q ../side -b side"},
                    std::pair{"DetachedHead", "git checkout -q --detach"},
                    std::pair{"NoCommitsYet", "git init -q -b trunk"},
                    std::pair{"OfAnotherOwner", "chown -R 12345:12345 ."},
                    std::pair{"EmptyDirectoryAndLinks",
                              "mkdir empty && ln -s train.py l && ln -s nowhere n"}),
    [](const auto& parameter) { return std::string(parameter.param.first); });

TEST(Run, PassesExitCodeThroughAndRecordsIt) {
  const Scratch scratch;
  make_repository(scratch.path());
  EXPECT_EQ(repro(scratch.path(), "run -o run -- python3 train.py 7").code, 7);
  const Json statement = statement_of(scratch / "run");
  const Json& record = statement["predicate"]["runDetails"]["reprise_records"][0];
  EXPECT_EQ(record["exit_code"], 7);
  EXPECT_GT(record["duration_s"], 0);
  const Json& definition = statement["predicate"]["buildDefinition"];
  EXPECT_EQ(definition["externalParameters"]["command"],
            Json::parse(R"(["python3", "train.py", "7"])"));
  EXPECT_EQ(definition["externalParameters"]["files"]["train.py"],
            sha256_file(scratch / "train.py").hex());
  const Json& python = definition["internalParameters"]["software"]["python"];
  EXPECT_EQ(
      python["version"].get<std::string>() + "\n",
      must(scratch.path(), "python3 -c 'import sys; print(sys.version.replace(chr(10), \"\"))'") +
          "\n");
}

TEST(Run, PackagesAreThoseThatPythonItselfFinds) {
  if (!fs::exists(REPRISE_PYTHON)) GTEST_SKIP() << "needs " REPRISE_PYTHON;
  const Scratch scratch;
  const std::string python = REPRISE_PYTHON;
  ASSERT_EQ(repro(scratch.path(), "run -o run -- " + python + " -c pass").code, 0);
  const Json statement = statement_of(scratch / "run");
  const Json& found = statement["predicate"]["buildDefinition"]["internalParameters"]["software"]
                               ["python"]["packages"];
  const Json real = parse_json(
      must(scratch.path(),
           python + " -c 'import importlib.metadata as m, json; print(json.dumps({"
                    "d.metadata[\"Name\"].lower().replace(\"-\", \"_\").replace(\".\", \"_\"): "
                    "d.version for d in m.distributions()}))'"));
  std::map<std::string, std::string> ours;
  for (const auto& [name, version] : found.items()) {
    std::string key = name;
    for (char& c : key) c = c == '-' || c == '.' ? '_' : static_cast<char>(std::tolower(c));
    ours[key] = version.get<std::string>();
  }
  EXPECT_EQ(ours, (real.get<std::map<std::string, std::string>>()));
}

TEST(Run, ASignalThatEndsTheCommandIsItsExitCode) {
  const Scratch scratch;
  EXPECT_EQ(repro(scratch.path(), "run -o run -- sh -c 'kill -9 $$'").code, 137);
  EXPECT_EQ(repro(scratch.path(), "run -o run2 -- no-such-command-anywhere").code, 10);
  EXPECT_FALSE(fs::exists(scratch / "run2"));
}

// A captured run of any program has a fingerprint, and no training to speak of.
TEST(Run, WhatNeedsTrainingSaysSo) {
  const Scratch scratch;
  ASSERT_EQ(repro(scratch.path(), "run -q -o run -- true").code, 0);
  for (const char* command :
       {"report run -o r.html", "plot run -o x.png", "export run --mlflow m"}) {
    const Outcome outcome = repro(scratch.path(), command);
    EXPECT_EQ(outcome.code, 15) << command;
    EXPECT_THAT(outcome.out, HasSubstr("captured from another program")) << command;
  }
  const Outcome audit = repro(scratch.path(), "audit run run");
  EXPECT_EQ(audit.code, 10);
  EXPECT_THAT(audit.out, HasSubstr("run: has no ledger.jsonl"));
  EXPECT_EQ(repro(scratch.path(), "verify run").code, 0);
  EXPECT_EQ(repro(scratch.path(), "diff run run").code, 0);
}

TEST(Run, TermIsPassedOn) {
  const Scratch scratch;
  const Outcome outcome =
      shell(scratch.path(), kRepro +
                                " run -o run -- sh -c 'trap \"exit 75\" TERM; touch ready; "
                                "while :; do sleep 0.05; done' & pid=$!; "
                                "while ! test -e ready; do sleep 0.02; done; kill $pid; wait $pid");
  EXPECT_EQ(outcome.code, 75) << outcome.out;
}

TEST(Run, AResumeAddsARecordWithWhatDiffers) {
  const Scratch scratch;
  make_repository(scratch.path());
  EXPECT_EQ(repro(scratch.path(), "run -o run -- true").code, 0);
  put(scratch / "train.py", "changed\n");
  EXPECT_EQ(shell(scratch.path(), "OMP_NUM_THREADS=3 " + kRepro + " run -o run -- true").code, 0);
  const Json statement = statement_of(scratch / "run");
  const Json& records = statement["predicate"]["runDetails"]["reprise_records"];
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1]["kind"], "resume");
  EXPECT_EQ(records[1]["differs"]["environment.OMP_NUM_THREADS"], "3");
  EXPECT_TRUE(records[1]["differs"].contains("code.tree"));
  EXPECT_TRUE(fs::exists(scratch / "run/snapshot-2.zip"));
  EXPECT_EQ(repro(scratch.path(), "restore run first").code, 0);
  EXPECT_EQ(repro(scratch.path(), "restore run second --name snapshot-2.zip").code, 0);
  EXPECT_EQ(get(scratch / "second/train.py"), "changed\n");
  EXPECT_NE(get(scratch / "first/train.py"), "changed\n");
}

TEST(Run, ManyProcessesMayWriteOneRun) {
  const Scratch scratch;
  must(scratch.path(),
       "for i in 1 2 3 4 5 6 7 8; do " + kRepro + " run -q -o run -- true & done; wait");
  EXPECT_EQ(statement_of(scratch / "run")["predicate"]["runDetails"]["reprise_records"].size(), 8u);
}

TEST(Diff, MostLikelyCauseFirstAndExitOne) {
  const Scratch scratch;
  make_repository(scratch.path());
  put(scratch / "data/x", "1");
  must(scratch.path(), "echo data >> .git/info/exclude");
  ASSERT_EQ(repro(scratch.path(), "capture -o runs/a --data train=data").code, 0);
  put(scratch / "data/x", "2");
  put(scratch / "train.py", "changed\n");
  ASSERT_EQ(shell(scratch.path(),
                  "TZ=UTC OMP_NUM_THREADS=3 " + kRepro + " capture -o runs/b --data train=data")
                .code,
            0);
  const Outcome outcome = repro(scratch.path(), "diff runs/a runs/b --json");
  EXPECT_EQ(outcome.code, 1);
  const Json answer = parse_json(outcome.out);
  EXPECT_EQ(answer["same"], false);
  std::vector<std::string> order;
  for (const Json& difference : answer["differences"]) {
    order.push_back(difference["field"].get<std::string>());
  }
  ASSERT_GE(order.size(), 4u);
  EXPECT_EQ(order[0], "code.tree");
  EXPECT_EQ(order[1], "data.train.sha256");
  EXPECT_EQ(order[2], "environment.OMP_NUM_THREADS");
  EXPECT_EQ(repro(scratch.path(), "diff runs/a runs/a").code, 0);
}

TEST(Diff, BadFingerprintsAreNamed) {
  const Scratch scratch;
  ASSERT_EQ(repro(scratch.path(), "capture -o a").code, 0);
  const std::string good = get(scratch / "a/fingerprint.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    put(scratch / "b.json", text);
    return repro(scratch.path(), "diff a b.json");
  };
  const Outcome newer = with("urn:reprise:run:v1", "urn:reprise:run:v2");
  EXPECT_EQ(newer.code, 13);
  EXPECT_THAT(newer.out, HasSubstr("newer version"));
  must(scratch.path(), "mkdir b && cp b.json b/fingerprint.json");
  for (const char* command : {"verify b", "restore b out", "run -o b -- true", "capture -o b"}) {
    const Outcome outcome = repro(scratch.path(), command);
    EXPECT_EQ(outcome.code, 13) << command;
    EXPECT_THAT(outcome.out, HasSubstr("newer version")) << command;
  }
  EXPECT_EQ(with("in-toto.io/Statement/v1", "in-toto.io/Statement/v2").code, 13);
  EXPECT_EQ(with("\"predicate\"", "\"other\"").code, 12);
  EXPECT_EQ(with("\"resolvedDependencies\": []", "\"resolvedDependencies\": [1]").code, 12);
  EXPECT_EQ(with("\"byproducts\": []", "\"byproducts\": [1]").code, 12);
  EXPECT_EQ(with("\"metadata\"", "\"metadata\": 1, \"other\"").code, 12);
  must(scratch.path(), "cp b.json b/fingerprint.json");
  EXPECT_EQ(repro(scratch.path(), "run -o b -- touch ran").code, 12);
  EXPECT_FALSE(fs::exists(scratch / "ran")) << "a record that cannot be written stops first";
  EXPECT_EQ(with("{", "").code, 12);
  EXPECT_EQ(repro(scratch.path(), "diff a nowhere").code, 10);
  EXPECT_EQ(repro(scratch.path(), "diff a").code, 2);
}

TEST(Restore, TamperedSnapshotIsRefused) {
  const Scratch scratch;
  make_repository(scratch.path());
  ASSERT_EQ(repro(scratch.path(), "capture -o run").code, 0);
  must(scratch.path(), "cp -r run bad && printf x >> bad/snapshot.zip");
  const Outcome outcome = repro(scratch.path(), "restore bad out");
  EXPECT_EQ(outcome.code, 12);
  EXPECT_THAT(outcome.out, HasSubstr("SHA-256"));
  EXPECT_FALSE(fs::exists(scratch / "out"));
  EXPECT_EQ(repro(scratch.path(), "restore run out").code, 0);
  EXPECT_EQ(repro(scratch.path(), "restore run out").code, 2) << "a directory that is there";
}

// Archives that Python's zipfile wrote, in a run whose fingerprint names them by their SHA-256: who
// makes such a run may write what he likes into it.
class HostileRun : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(HostileRun, IsRefusedByRestoreAndVerifyAndWritesNothing) {
  const Scratch scratch;
  make_repository(scratch / "repo");
  ASSERT_EQ(repro(scratch / "repo", "capture -q -o ../box/run >/dev/null").code, 0);
  put(scratch / "make.py", std::string(R"(import hashlib, json, stat, struct, zipfile
run = 'box/run/'
z = zipfile.ZipFile(run + 'snapshot.zip', 'w', zipfile.ZIP_DEFLATED)
def add(name, data=b'x', mode=stat.S_IFREG | 0o644):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    z.writestr(info, data)
)") + GetParam().second + R"(
z.close()
data = bytearray(open(run + 'snapshot.zip', 'rb').read())
if grows:
    at = data.index(b'PK\1\2')
    data[at + 24:at + 28] = data[22:26] = struct.pack('<I', 0x7fffffff)
    open(run + 'snapshot.zip', 'wb').write(data)
s = json.load(open(run + 'fingerprint.json'))
for b in s['predicate']['runDetails']['byproducts']:
    if b['name'] == 'snapshot.zip':
        b['digest']['sha256'] = hashlib.sha256(data).hexdigest()
json.dump(s, open(run + 'fingerprint.json', 'w'))
)");
  must(scratch.path(), "sed -i '1i grows = False' make.py && python3 -W ignore make.py");
  const std::string before = must(scratch.path(), "find . | sort");
  const Outcome restored = repro(scratch / "box", "restore run out");
  EXPECT_EQ(restored.code, 12) << restored.out;
  EXPECT_THAT(restored.out, HasSubstr("snapshot.zip"));
  const Outcome verified = repro(scratch / "box", "verify run");
  // A repository may hold a link out of it, so that alone is no damage; its tree is another one.
  EXPECT_THAT(verified.code, testing::AnyOf(1, 12)) << verified.out;
  EXPECT_THAT(verified.out, HasSubstr("FAIL  snapshot.zip"));
  EXPECT_EQ(must(scratch.path(), "find . | sort"), before);
  EXPECT_FALSE(fs::exists("/tmp/reprise-pwned"));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, HostileRun,
    testing::Values(std::pair{"Parent", "add('../pwned')"},
                    std::pair{"Absolute", "add('/tmp/reprise-pwned')"},
                    std::pair{"LinkOut", "add('l', b'../../pwned', stat.S_IFLNK | 0o777)"},
                    std::pair{"ThroughALink",
                              "add('l', b'..', stat.S_IFLNK | 0o777); add('l/pwned')"},
                    std::pair{"Duplicate", "add('a'); add('a', b'y')"},
                    std::pair{"Bomb", "add('a', bytes(100000)); grows = True"},
                    std::pair{"GitHook", "add('.git/hooks/post-checkout')"}),
    [](const auto& parameter) { return std::string(parameter.param.first); });

}  // namespace
}  // namespace reprise
