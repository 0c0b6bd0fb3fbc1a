// What we write as .pth comes back as it was, from our reader and from the real PyTorch.
#include "ckpt/container/pth_write.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/json.h"
#include "ckpt/base/sha256.h"
#include "ckpt/container/canonical.h"
#include "ckpt/container/pth_legacy.h"
#include "ckpt/container/pth_tar.h"
#include "ckpt/container/pth_zip.h"
#include "ckpt/pickle/machine.h"
#include "ckpt/pickle/writer.h"
#include "tests/ckpt/container/legacy_files.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace reprise::container {
namespace {

namespace fs = std::filesystem;

fs::path fresh_folder() {
  std::string name = (fs::temp_directory_path() / "reprise-pth-XXXXXX").string();
  return mkdtemp(name.data());
}

Document open_as(const std::string& container, const fs::path& path) {
  if (container == "legacy") return open_pth_legacy(path);
  if (container == "tar") return open_pth_tar(path);
  return open_pth_zip(path);
}

// Files of `folder` that a Python object tree is in, with the given truth about them.
std::vector<LegacyFile> trees_of(const fs::path& folder) {
  std::vector<LegacyFile> files;
  for (LegacyFile& file : legacy_files(folder)) {
    if (file.container == "zip" || file.container == "legacy" || file.container == "tar")
      files.push_back(file);
  }
  return files;
}

Document small_document() {
  Document document;
  Arena& arena = *document.arena;
  document.root = arena.dict();
  DictNode& root = document.root.as_dict();
  const std::vector<std::byte> bytes(48, std::byte{7});
  const Value tensor = arena.tensor(Tensor::copy_of(DType::kFloat32, {3, 4}, bytes));
  root.append(arena, "weight", tensor);
  root.append(arena, "tied", tensor);
  root.append(arena, "half", arena.tensor(Tensor::copy_of(DType::kBFloat16, {2, 12}, bytes)));
  root.append(arena, "new_type", arena.tensor(Tensor::copy_of(DType::kFloat8E4M3FN, {48}, bytes)));
  root.append(arena, "epoch", Value::integer(3));
  return document;
}

std::string run_python(const std::string& script, const fs::path& file) {
  const fs::path code = file.string() + ".py";
  write_text(code, script);
  const std::string command =
      std::string(REPRISE_PYTHON) + " -W ignore " + code.string() + " " + file.string() + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  std::string out;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = fread(buffer.data(), 1, buffer.size(), pipe))
    out.append(buffer.data(), n);
  EXPECT_EQ(pclose(pipe), 0) << out;
  return out;
}

TEST(PthWrite, EveryLegacyFileComesBackWithTheSameTree) {
  const fs::path folder = fs::path(REPRISE_SHARED_DIR) / "legacy";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is missing; set REPRISE_SHARED_DIR";
  const fs::path out = fresh_folder();
  std::size_t written = 0;
  std::size_t refused = 0;
  for (const LegacyFile& file : trees_of(folder)) {
    SCOPED_TRACE(file.name);
    const Document document = open_as(file.container, folder / file.name);
    try {
      write_pth(out / "a.pth", document, {}, pickle::Loadable::kAnyPython);
    } catch (const Error& error) {
      // Only what protocol 2 has no form for.
      EXPECT_EQ(error.code(), Code::kUnsupported) << error.what();
      ++refused;
      continue;
    }
    const Document again = open_pth_zip(out / "a.pth");
    EXPECT_EQ(first_difference(parse_json(canonical_json(again.root), 2000),
                               parse_json(canonical_json(document.root), 2000)),
              "");
    ++written;
  }
  fs::remove_all(out);
  EXPECT_GT(written, 90u);
  EXPECT_LT(refused, 8u);
}

TEST(PthWrite, TheSameTreeGivesTheSameBytes) {
  const fs::path out = fresh_folder();
  write_pth(out / "a.pth", small_document());
  write_pth(out / "b.pth", small_document());
  EXPECT_EQ(sha256_file(out / "a.pth"), sha256_file(out / "b.pth"));
  fs::remove_all(out);
}

TEST(PthWrite, ObjectsOfUnknownClassesAreRefusedUnlessAskedFor) {
  const fs::path out = fresh_folder();
  Document document;
  document.root = document.arena->opaque("old.module.Thing");
  try {
    write_pth(out / "a.pth", document);
    ADD_FAILURE() << "written";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("old.module.Thing"), std::string::npos)
        << error.what();
  }
  EXPECT_FALSE(fs::exists(out / "a.pth"));
  fs::remove_all(out);
}

// Found by fuzzing: a name of Python 2 in a pickle of protocol 5 means what it says. Written with
// protocol 2, it came back as what Python 3 calls that module.
TEST(PthWrite, NameThatPythonWouldReadAsAnotherIsRefused) {
  Arena arena;
  const Value object = arena.opaque("_abcoll.encode");
  try {
    pickle::write(object, pickle::Loadable::kAnyPython);
    ADD_FAILURE() << "written";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("collections.abc.encode"), std::string::npos)
        << error.what();
  }
}

// A small file may refer to long bytes a million times.
TEST(PthWrite, LongValuesAreWrittenOnce) {
  Arena arena;
  const std::string text(100'000, 'a');
  const Value list = arena.list();
  std::vector<std::byte> digits(4000, std::byte{0x7F});
  for (const Value value :
       {arena.string(text), arena.bytes(as_bytes(text)), arena.big_integer(digits)}) {
    for (int i = 0; i < 3; ++i) list.as_sequence().items.push_back(arena, value);
  }
  // Its beginning lies at the same place, and is another text.
  list.as_sequence().items.push_back(
      arena, arena.borrowed_string(list.as_sequence().items[0].as_string().substr(0, 90'000)));
  const std::string written = pickle::write(list, pickle::Loadable::kWeightsOnly).bytes;
  EXPECT_LT(written.size(), 300'000u);
  Arena other;
  const auto& items = pickle::load(other, as_bytes(written)).root.as_sequence().items;
  ASSERT_EQ(items.size(), 10u);
  for (std::size_t i : {0u, 1u, 2u}) EXPECT_EQ(items[i].as_string(), text);
  for (std::size_t i : {3u, 4u, 5u}) EXPECT_EQ(as_text(items[i].as_bytes()), text);
  for (std::size_t i : {6u, 7u, 8u}) EXPECT_EQ(items[i].as_bytes().size(), 4000u);
  EXPECT_EQ(items[9].as_string(), text.substr(0, 90'000));
}

constexpr const char* kLoad = R"(
import sys, json, hashlib, torch
obj = torch.load(sys.argv[1], weights_only=True)
def sha(t): return hashlib.sha256(t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
print(json.dumps({"keys": list(obj), "epoch": obj["epoch"], "tied": obj["weight"] is obj["tied"],
    "tensors": {k: {"dtype": str(t.dtype)[6:], "shape": list(t.shape), "sha256": sha(t)} for k, t in obj.items() if isinstance(t, torch.Tensor)}}))
)";

TEST(PthWriteInterop, PyTorchLoadsItWithWeightsOnly) {
  if (!fs::exists(REPRISE_PYTHON))
    GTEST_SKIP() << REPRISE_PYTHON << " is missing: ./run test installs it";
  const fs::path out = fresh_folder();
  const Document document = small_document();
  write_pth(out / "a.pth", document);
  const Json seen = parse_json(run_python(kLoad, out / "a.pth"));
  Json keys = Json::array();
  Json tensors = Json::object();
  for (const DictEntry& entry : document.root.as_dict().entries) {
    const std::string key(entry.key.as_string());
    keys.push_back(key);
    if (const TensorNode* node = entry.value.if_tensor()) {
      tensors[key] = {{"dtype", std::string(name(node->dtype))},
                      {"shape", node->shape()},
                      {"sha256", node->tensor.digest().hex()}};
    }
  }
  EXPECT_EQ(seen.at("keys"), keys);
  EXPECT_EQ(seen.at("tensors"), tensors);
  EXPECT_EQ(seen.at("epoch"), 3);
  EXPECT_TRUE(seen.at("tied").get<bool>());
  fs::remove_all(out);
}

constexpr const char* kLoadAll = R"(
import sys, json, pathlib, torch
for path in sorted(pathlib.Path(sys.argv[1]).parent.glob("*.pth")):
    try:
        torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        print(path.name, type(error).__name__, str(error)[:300])
)";

// What the writer accepts for weights_only, PyTorch's weights_only unpickler does accept.
TEST(PthWriteInterop, PyTorchLoadsAllThatIsWrittenForWeightsOnly) {
  const fs::path folder = fs::path(REPRISE_SHARED_DIR) / "legacy";
  if (!fs::exists(folder) || !fs::exists(REPRISE_PYTHON))
    GTEST_SKIP() << "needs the legacy files and Python";
  const fs::path out = fresh_folder();
  std::size_t written = 0;
  for (const LegacyFile& file : trees_of(folder)) {
    const Document document = open_as(file.container, folder / file.name);
    std::string flat = file.name;
    std::replace(flat.begin(), flat.end(), '/', '_');
    try {
      write_pth(out / (flat + ".pth"), document);
      ++written;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kUnsupported) << file.name << ": " << error.what();
    }
  }
  EXPECT_GT(written, 50u);
  EXPECT_EQ(run_python(kLoadAll, out / "list"), "");
  fs::remove_all(out);
}

}  // namespace
}  // namespace reprise::container
