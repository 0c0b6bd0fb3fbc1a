#include "tests/ckpt/container/sample.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/tensor_names.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <stdexcept>

namespace reprise::container {
namespace fs = std::filesystem;

ScratchFolder::ScratchFolder(const fs::path& parent) {
  std::string pattern = (parent / "reprise-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Tensor patterned(DType dtype, Shape shape, unsigned seed) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(count_elements(shape)) * item_size(dtype));
  std::uint32_t state = seed * 2654435761u + 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<std::byte>(state >> 24);
  }
  if (dtype == DType::kBool) {
    for (std::byte& byte : bytes) byte &= std::byte{1};
  }
  return Tensor::copy_of(dtype, std::move(shape), bytes);
}

Document small_document() {
  Document document;
  Arena& arena = *document.arena;
  document.root = arena.dict();
  DictNode& root = document.root.as_dict();
  root.append(arena, "version", Value::integer(5));
  root.append(arena, "type", arena.string("model"));
  const Value model = arena.dict(DictClass::kOrderedDict);
  model.as_dict().append(arena, "fc.weight", arena.tensor(patterned(DType::kFloat32, {4, 5}, 2)));
  model.as_dict().append(arena, "fc.bias", arena.tensor(patterned(DType::kFloat32, {4}, 3)));
  model.as_dict().append(arena, "steps", arena.tensor(patterned(DType::kInt64, {}, 4)));
  root.append(arena, "model", model);
  return document;
}

namespace {

Value all_types(Arena& arena) {
  const Value dict = arena.dict();
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    dict.as_dict().append(arena, name(dtype),
                          arena.tensor(patterned(dtype, {2, 3}, static_cast<unsigned>(i))));
  }
  return dict;
}

Value views(Arena& arena) {
  const Value dict = arena.dict();
  DictNode& node = dict.as_dict();
  const Tensor whole = patterned(DType::kFloat32, {6, 4}, 40);
  node.append(arena, "whole", arena.tensor(whole));
  node.append(arena, "transposed",
              arena.tensor(Tensor::make(DType::kFloat32, {4, 6}, {1, 4}, 0, whole.storage())));
  node.append(arena, "part",
              arena.tensor(Tensor::make(DType::kFloat32, {2, 4}, {4, 1}, 8, whole.storage())));
  node.append(arena, "tied",
              arena.tensor(Tensor::make(DType::kFloat32, {6, 4}, {4, 1}, 0, whole.storage())));
  node.append(arena, "conjugated",
              arena.tensor(patterned(DType::kComplex64, {3}, 41).with_lazy_bits(true, false)));
  node.append(arena, "scalar", arena.tensor(patterned(DType::kFloat64, {}, 42)));
  node.append(arena, "empty", arena.tensor(patterned(DType::kInt16, {0, 7}, 43)));
  node.append(arena, "deep", arena.tensor(patterned(DType::kUInt8, Shape(40, 1), 44)));
  return dict;
}

Value numbers(Arena& arena) {
  const Value list = arena.list();
  auto& items = list.as_sequence().items;
  const auto add = [&](Value value) { items.push_back(arena, value); };
  for (const double x : {0.0, -0.0, 1.0, 0.1, 5e-324, 1e308, -2.5e-10, double{1ll << 60}})
    add(Value::real(x));
  add(Value::real(std::numeric_limits<double>::infinity()));
  add(Value::real(-std::numeric_limits<double>::infinity()));
  add(Value::real(std::bit_cast<double>(0x7ff8'0000'0000'1234u)));
  for (const std::int64_t i :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 53, (std::int64_t{1} << 53) + 1,
        std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
    add(Value::integer(i));
  }
  add(arena.big_integer(as_bytes("0123456789abcdef")));
  add(arena.complex({1.5, -0.0}));
  add(Value());
  add(Value::boolean(true));
  return list;
}

Value texts(Arena& arena) {
  const Value dict = arena.dict(DictClass::kDefaultDict);
  DictNode& node = dict.as_dict();
  node.factory = arena.global("builtins.list");
  node.attributes = arena.dict();
  node.attributes.as_dict().append(arena, "note", arena.string("on the \"dict\"\n\t\\"));
  node.append(arena, "umlaut", arena.string("gr\xc3\xbc\xc3\x9f"));
  node.append(arena, "surrogate", arena.string("\xed\xa0\x80"));
  node.append(arena, std::string_view("nul\0nul", 7), arena.string(std::string_view("a\0b", 3)));
  node.append(arena, "bytes", arena.bytes(as_bytes(std::string_view("\x00\xff\x80", 3))));
  node.append(arena, "array", arena.byte_array(as_bytes("mutable")));
  node.append(arena, Value::integer(7), arena.string("int key"));
  const Value pair[] = {Value::integer(1), Value::real(2)};
  node.append(arena, arena.tuple(pair), arena.string("tuple key"));
  return dict;
}

Value records(Arena& arena) {
  const Value list = arena.list();
  const auto add = [&](RecordClass record_class, std::vector<Value> fields) {
    list.as_sequence().items.push_back(arena, arena.record(record_class, fields));
  };
  add(RecordClass::kSize, {Value::integer(2), Value::integer(3)});
  add(RecordClass::kDevice, {arena.string("cuda:1")});
  add(RecordClass::kStorage, {arena.tensor(patterned(DType::kUInt8, {9}, 50))});
  add(RecordClass::kNumpyScalar, {arena.string("<f8"), arena.bytes(as_bytes("12345678"))});
  add(RecordClass::kTimeDelta, {Value::integer(1), Value::integer(2), Value::integer(3)});
  const Value opaque = arena.opaque("src.dino_code.DINOLoss");
  OpaqueNode& node = opaque.as_opaque();
  node.args = arena.tuple();
  node.has_state = true;
  node.items.push_back(arena, Value::integer(1));
  node.entries.push_back(
      arena, {arena.string("center"), arena.tensor(patterned(DType::kFloat32, {3}, 51))});
  list.as_sequence().items.push_back(arena, opaque);
  list.as_sequence().items.push_back(arena, opaque);
  list.as_sequence().items.push_back(arena, list);  // holds itself
  return list;
}

Value special_tensors(Arena& arena) {
  const Value dict = arena.dict();
  TensorNode sparse;
  sparse.layout = TensorLayout::kSparseCoo;
  sparse.dtype = DType::kFloat32;
  sparse.other =
      std::make_shared<OtherLayout>(OtherLayout{{4, 4},
                                                true,
                                                arena.tensor(patterned(DType::kInt64, {2, 3}, 60)),
                                                {},
                                                arena.tensor(patterned(DType::kFloat32, {3}, 61))});
  dict.as_dict().append(arena, "sparse", arena.tensor_node(std::move(sparse)));
  TensorNode quantized;
  quantized.tensor = patterned(DType::kQInt8, {2, 2}, 62);
  quantized.dtype = DType::kQInt8;
  quantized.quantizer = std::make_shared<Quantizer>(
      Quantizer{true, 0.5, 3, 1, arena.tensor(patterned(DType::kFloat64, {2}, 63)),
                arena.tensor(patterned(DType::kInt64, {2}, 64))});
  dict.as_dict().append(arena, "quantized", arena.tensor_node(std::move(quantized)));
  TensorNode parameter;
  parameter.tensor = patterned(DType::kFloat32, {2}, 65);
  parameter.parameter = parameter.requires_grad = true;
  parameter.dtype = DType::kFloat32;
  parameter.python_class = "my.Tensor";
  dict.as_dict().append(arena, "parameter", arena.tensor_node(std::move(parameter)));
  return dict;
}

Value odd_names(Arena& arena) {
  const Value dict = arena.dict();
  for (const std::string_view key :
       {"a/b", "%41", "@x", "", ".", "..", "tab\t", "0", "gr\xc3\xbc\xc3\x9f", "\xff"}) {
    dict.as_dict().append(
        arena, key, arena.tensor(patterned(DType::kInt8, {2}, static_cast<unsigned>(key.size()))));
  }
  dict.as_dict().append(arena, Value::integer(0), arena.tensor(patterned(DType::kInt8, {3}, 70)));
  dict.as_dict().append(arena, std::string(3000, 'n'),
                        arena.tensor(patterned(DType::kInt8, {4}, 71)));
  return dict;
}

}  // namespace

Document rich_document() {
  Document document = small_document();
  Arena& arena = *document.arena;
  DictNode& root = document.root.as_dict();
  root.append(arena, "lr", Value::real(0.1));
  root.append(arena, "types", all_types(arena));
  root.append(arena, "views", views(arena));
  root.append(arena, "numbers", numbers(arena));
  root.append(arena, "texts", texts(arena));
  root.append(arena, "records", records(arena));
  root.append(arena, "special", special_tensors(arena));
  root.append(arena, "names", odd_names(arena));
  const Value shared = arena.dict();
  shared.as_dict().append(arena, "manifest", arena.tensor(patterned(DType::kFloat16, {5}, 80)));
  root.append(arena, "reprise", shared);  // the group of the container's own datasets
  root.append(arena, "again", shared);
  return document;
}

Tensor tensor_at(const Document& document, std::string_view name) {
  for (const NamedTensor& named : name_tensors(document)) {
    if (named.name == name) return named.tensor;
  }
  throw std::runtime_error(fmt::format("no tensor {}", name));
}

std::string read_file(const fs::path& path) { return read_text(path, 1u << 30); }

void write_file(const fs::path& path, std::string_view bytes) {
  fs::remove(path);
  File::create_new(path).write(0, as_bytes(bytes));
}

bool have_python() { return fs::exists(REPRISE_PYTHON); }

std::string run_python(std::string_view script, const std::vector<std::string>& arguments) {
  const ScratchFolder folder;
  write_file(folder / "script.py", script);
  std::string command = fmt::format("'{}' '{}'", REPRISE_PYTHON, (folder / "script.py").string());
  for (const std::string& argument : arguments) command += fmt::format(" '{}'", argument);
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("popen failed");
  std::string output;
  char buffer[4096];
  while (const std::size_t n = fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, n);
  if (pclose(pipe) != 0) throw std::runtime_error("Python failed: " + output);
  return output;
}

}  // namespace reprise::container
