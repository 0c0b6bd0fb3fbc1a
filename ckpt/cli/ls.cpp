#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/progress.h"
#include "ckpt/cli/commands.h"
#include "ckpt/cli/table.h"
#include "ckpt/container/open.h"
#include "ckpt/container/tensor_names.h"
#include "ckpt/store/load.h"
#include "ckpt/store/reference.h"

#include <memory>

namespace reprise::cli {
namespace {

struct LsOptions {
  std::string checkpoint;
  bool digest = false;
};

struct Row {
  std::string name;
  DType dtype = DType::kFloat32;
  Shape shape;
  std::uint64_t bytes = 0;
  std::string sha256;  // empty: not asked for
};

// A native file lists its tensors in a table of its own.
std::vector<Row> native_rows(const std::filesystem::path& path, const LsOptions& options, Io& io) {
  const container::Hdf5Reader reader = container::Hdf5Reader::open(path);
  // A digest is printed only after the bytes were found to have it.
  if (options.digest) reader.document(container::Verify::kAll, io.jobs);
  std::vector<Row> rows;
  rows.reserve(reader.tensors().size());
  for (const container::TensorEntry& entry : reader.tensors()) {
    rows.push_back({entry.name, entry.dtype, entry.shape, entry.size_bytes,
                    options.digest ? entry.sha256.hex() : std::string()});
  }
  return rows;
}

std::vector<Row> other_rows(const std::filesystem::path& path, const LsOptions& options, Io& io) {
  const Checkpoint checkpoint =
      store::load(path.native(), {.verify = options.digest, .jobs = io.jobs, .derive_uuid = false});
  const auto named = container::name_tensors(checkpoint.to_document());
  std::vector<Row> rows(named.size());
  const auto fill = [&](std::size_t i) {
    const Tensor& tensor = named[i].tensor;
    rows[i] = {named[i].name, tensor.dtype(), tensor.shape(), tensor.size_bytes(),
               options.digest ? tensor.digest().hex() : std::string()};
  };
  if (options.digest) {
    parallel_for(rows.size(), io.jobs, fill);
  } else {
    for (std::size_t i = 0; i < rows.size(); ++i) fill(i);
  }
  return rows;
}

// Written by hand: building a JSON tree of thousands of rows would cost more than
// everything else that this command does.
void print_json(Io& io, const std::vector<Row>& rows) {
  std::string out = "{\n  \"tensors\": [";
  bool first = true;
  for (const Row& row : rows) {
    out += first ? "\n    " : ",\n    ";
    first = false;
    fmt::format_to(std::back_inserter(out),
                   R"({{"name": {}, "dtype": "{}", "shape": {}, "bytes": {}, "sha256": {}}})",
                   dump_json(row.name), name(row.dtype), format_shape(row.shape), row.bytes,
                   row.sha256.empty() ? "null" : "\"" + row.sha256 + "\"");
  }
  out += first ? "]\n}\n" : "\n  ]\n}\n";
  io.write(out);
}

int run(const LsOptions& options, Io& io) {
  const std::filesystem::path path = store::resolve(options.checkpoint);
  const bool native = container::sniff(path) == container::Format::kNative;
  const std::vector<Row> rows =
      native ? native_rows(path, options, io) : other_rows(path, options, io);
  if (io.json) {
    print_json(io, rows);
    return 0;
  }
  std::vector<Table::Column> columns = {
      {"name"}, {"dtype"}, {"shape"}, {"bytes", Table::Align::kRight}};
  if (options.digest) columns.push_back({"sha256"});
  Table table(std::move(columns));
  std::uint64_t total = 0;
  for (const Row& row : rows) {
    std::vector<std::string> cells = {printable(row.name), std::string(name(row.dtype)),
                                      format_shape(row.shape), format_count(row.bytes)};
    if (options.digest) cells.push_back(row.sha256);
    table.add(std::move(cells));
    total += row.bytes;
  }
  table.print(io);
  io.say("{} tensors, {}", format_count(rows.size()), format_bytes(total));
  return 0;
}

}  // namespace

void add_ls(CommandLine& app) {
  auto options = std::make_shared<LsOptions>();
  Command& command = app.command("ls", "List the tensors of a checkpoint");
  command.about(
      "Names are slash paths, such as backbone/blocks.0.attn.qkv.weight; an old file is listed as "
      "the version 5 it upgrades to. With --digest every byte is read, and the SHA-256 is that of "
      "the "
      "contiguous little-endian values, whatever the format of the file.");
  command.positional("CKPT", options->checkpoint, "file, or reference such as runs/a/<best>");
  command.flag("--digest", options->digest, "also the SHA-256 of each tensor");
  command.example("ckpt ls --digest model.h5", "names, types, shapes and digests of all tensors");
  command.exit_code(14, "incomplete: the writer never committed");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::cli
