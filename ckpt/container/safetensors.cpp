#include "ckpt/container/safetensors.h"

#include "ckpt/base/byte_reader.h"
#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/container/direct_writer.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>

namespace reprise::container {

namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::string_view kMetadata = "__metadata__";

struct Row {
  std::string name;
  DType dtype;
  Shape shape;
  std::uint64_t begin, end;  // in the data
};

[[noreturn]] void wrong(std::string_view name, std::string_view what) {
  fail(Code::kCorrupt, "tensor {}: {}; the file is damaged or hostile", printable(name), what);
}

std::uint64_t number(const Json& json, std::string_view name) {
  if (!json.is_number_unsigned()) wrong(name, "a number that is no whole one");
  return json.get<std::uint64_t>();
}

Row read_row(const std::string& name, const Json& json) {
  for (const auto& [key, value] : json.items()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      wrong(name, fmt::format("an unknown field '{}'", printable(key, 40)));
    }
  }
  const std::string dtype = require_string(json, "dtype", name);
  const auto known = dtype_from_safetensors_name(dtype);
  if (!known) {
    fail(Code::kUnsupported, "tensor {}: element type '{}', which this version does not know",
         printable(name), printable(dtype, 40));
  }
  Row row{name, *known, {}, 0, 0};
  for (const Json& extent : require_array(json, "shape", name)) {
    const std::uint64_t value = number(extent, name);
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      wrong(name, "an extent over 2^63");
    row.shape.push_back(static_cast<std::int64_t>(value));
  }
  const Json& offsets = require_array(json, "data_offsets", name);
  if (offsets.size() != 2) wrong(name, "data_offsets that are not a pair");
  row.begin = number(offsets[0], name);
  row.end = number(offsets[1], name);
  const auto elements = static_cast<std::uint64_t>(count_elements(row.shape));
  const auto size = checked_multiply<std::uint64_t>(elements, item_size(row.dtype));
  if (row.begin > row.end || !size || *size != row.end - row.begin) {
    wrong(name, fmt::format("data from {} to {}, which is not {} elements of {}", row.begin,
                            row.end, elements, dtype));
  }
  return row;
}

// Data has to follow without hole or overlap and end where the file does.
void check_order(std::vector<Row>& rows, std::uint64_t data_bytes) {
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t end = 0;
  for (const Row& row : rows) {
    if (row.begin != end) {
      wrong(row.name, fmt::format("data begins at {}, {} was expected: a hole or an overlap",
                                  row.begin, end));
    }
    end = row.end;
  }
  if (end != data_bytes) {
    fail(Code::kCorrupt,
         "the tensors need {} bytes of data, the file has {}; it is truncated or damaged", end,
         data_bytes);
  }
}

Document read(const std::shared_ptr<const MappedFile>& file) {
  const Bytes bytes = file->bytes();
  ByteReader in(bytes);
  const auto length = in.number<std::uint64_t>("the length of the header");
  if (length > kSafetensorsHeaderLimit) {
    fail(Code::kCorrupt,
         "byte 0: a header of {} bytes, at most {} are allowed; the file is hostile or damaged",
         length, kSafetensorsHeaderLimit);
  }
  const std::string_view text = as_text(in.take(length, "the header"));
  if (!text.starts_with('{'))
    fail(Code::kCorrupt, "byte 8: the header does not begin with '{{'; the file is damaged");
  const Json header = parse_json(text, 4);
  if (!header.is_object())
    fail(Code::kCorrupt, "byte 8: the header is no object; the file is damaged");

  Document document;
  document.container = "safetensors";
  Arena& arena = *document.arena;
  document.root = arena.dict();
  DictNode& root = document.root.as_dict();
  std::vector<Row> rows;
  for (const auto& [name, json] : header.items()) {
    if (name != kMetadata) {
      rows.push_back(read_row(name, json));
      continue;
    }
    root.attributes = arena.dict();
    if (!json.is_object()) fail(Code::kCorrupt, "{} is no object; the file is damaged", kMetadata);
    for (const auto& [key, value] : json.items()) {
      // By the value at hand: to look each key up is the square of their number.
      if (!value.is_string()) {
        fail(Code::kCorrupt, "{}: '{}' is {}, a string was expected", kMetadata, printable(key, 80),
             value.type_name());
      }
      root.attributes.as_dict().append(arena, key,
                                       arena.string(value.get_ref<const std::string&>()));
    }
  }
  const std::uint64_t data_offset = kLengthBytes + length;
  check_order(rows, bytes.size() - data_offset);
  for (Row& row : rows) {
    auto storage = mapped_storage(file, data_offset + row.begin, row.end - row.begin);
    root.append(
        arena, row.name,
        arena.tensor(Tensor::contiguous(row.dtype, std::move(row.shape), std::move(storage))));
  }
  return document;
}

std::string make_header(const std::vector<const std::pair<std::string, Tensor>*>& order,
                        const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header[std::string(kMetadata)] = metadata;
  auto& members = header.get_ref<Json::object_t&>();
  std::uint64_t at = 0;
  for (const auto* item : order) {
    const Tensor& tensor = item->second;
    const auto dtype = safetensors_name(tensor.dtype());
    if (!dtype) {
      fail(Code::kUnsupported,
           "tensor {}: safetensors has no element type for {}; convert it, or write .h5",
           printable(item->first), name(tensor.dtype()));
    }
    const std::uint64_t end = at + tensor.size_bytes();
    members.push_back(
        {item->first, {{"dtype", *dtype}, {"shape", tensor.shape()}, {"data_offsets", {at, end}}}});
    at = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception&) {
    fail(Code::kUnsupported,
         "a tensor name or metadata text is not UTF-8, which safetensors requires");
  }
  text.append(align_up(text.size(), 8) - text.size(),
              ' ');  // as the library pads: data starts aligned
  if (text.size() > kSafetensorsHeaderLimit) {
    fail(Code::kUnsupported, "a header of {} bytes, safetensors allows {}", text.size(),
         kSafetensorsHeaderLimit);
  }
  return text;
}

}  // namespace

Document open_safetensors(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  try {
    Document document = read(file);
    document.path = path.string();
    return document;
  } catch (const Error& error) {
    throw error.at(path.string());
  }
}

WriteReport write_safetensors(const std::filesystem::path& target,
                              std::span<const std::pair<std::string, Tensor>> tensors,
                              const std::map<std::string, std::string>& metadata,
                              const WriteOptions& options) {
  std::unordered_set<std::string_view> names;
  std::vector<const std::pair<std::string, Tensor>*> order;
  for (const auto& item : tensors) {
    if (item.first == kMetadata)
      fail(Code::kUsage, "a tensor cannot have the reserved name {}", kMetadata);
    if (!names.insert(item.first).second)
      fail(Code::kUsage, "two tensors have the name {}", printable(item.first));
    order.push_back(&item);
  }
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    const std::size_t x = item_size(a->second.dtype());
    const std::size_t y = item_size(b->second.dtype());
    return x != y ? x > y : a->first < b->first;
  });
  const std::string header = make_header(order, metadata);

  WriteReport report;
  report.tensors = tensors.size();
  for (const auto* item : order) report.tensor_bytes += item->second.size_bytes();
  report.file_bytes = kLengthBytes + header.size() + report.tensor_bytes;

  DurableFile file = create(target, options.publish);
  Sha256 hash;
  {
    DirectWriter writer(file, report.file_bytes, options.direct, options.on_bytes);
    Stream stream(writer, 0);
    const auto put = [&](Bytes bytes) {
      hash.update(bytes);
      stream.append(bytes);
    };
    const std::uint64_t length = header.size();
    put(std::as_bytes(std::span(&length, 1)));
    put(as_bytes(header));
    for (const auto* item : order) {
      item->second.for_each_chunk(256u << 10, put);
      if (const auto& storage = item->second.storage()) storage->release(0, storage->size_bytes());
    }
    stream.finish();
    report.used_direct = writer.direct();
  }
  file.file().truncate(report.file_bytes);  // the last page was written whole
  publish(file, options.publish);
  report.file_digest = hash.finish();
  return report;
}

}  // namespace reprise::container
