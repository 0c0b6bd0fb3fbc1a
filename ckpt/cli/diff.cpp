#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/progress.h"
#include "ckpt/cli/commands.h"
#include "ckpt/cli/compare.h"
#include "ckpt/cli/table.h"
#include "ckpt/container/tensor_names.h"
#include "ckpt/state/plain_json.h"
#include "ckpt/store/load.h"

#include <cmath>
#include <limits>
#include <memory>
#include <unordered_map>

namespace reprise::cli {
namespace {

struct DiffOptions {
  std::string a;
  std::string b;
  double tolerance = 0;
  bool all = false;
  bool tensors_only = false;
};

enum class Status : std::uint8_t { kEqual, kWithin, kChanged, kOnlyA, kOnlyB };

std::string_view to_string(Status status) {
  constexpr std::string_view kNames[] = {"equal", "within", "changed", "only-a", "only-b"};
  return kNames[static_cast<std::size_t>(status)];
}

struct TensorRow {
  std::string name;
  Status status = Status::kEqual;
  const Tensor* a = nullptr;
  const Tensor* b = nullptr;
  Difference difference;
};

struct FieldRow {
  std::string field;
  Json a;
  Json b;
};

using Named = std::vector<container::NamedTensor>;

std::vector<TensorRow> pair_up(const Named& a, const Named& b) {
  std::vector<TensorRow> rows;
  std::unordered_map<std::string_view, std::size_t> index;
  for (const auto& named : a) {
    index.emplace(named.name, rows.size());
    rows.push_back({named.name, Status::kOnlyA, &named.tensor, nullptr, {}});
  }
  for (const auto& named : b) {
    const auto found = index.find(named.name);
    if (found == index.end()) {
      rows.push_back({named.name, Status::kOnlyB, nullptr, &named.tensor, {}});
    } else {
      rows[found->second].b = &named.tensor;
    }
  }
  return rows;
}

std::vector<TensorRow> compare_tensors(const Named& a, const Named& b, double tolerance, Io& io) {
  std::vector<TensorRow> rows = pair_up(a, b);
  Progress progress("diff", rows.size(), ProgressUnit::kItems, io.progress());
  parallel_for(rows.size(), io.jobs, [&](std::size_t i) {
    TensorRow& row = rows[i];
    if (row.a != nullptr && row.b != nullptr) {
      row.difference = compare(*row.a, *row.b);
      const Difference& d = row.difference;
      const bool measured = d.same_dtype && d.same_shape;
      row.status = d.equal                              ? Status::kEqual
                   : measured && d.max_abs <= tolerance ? Status::kWithin
                                                        : Status::kChanged;
    }
    progress.add(1);
  });
  return rows;
}

// Everything of a document that is no tensor, flat: "config/lr", "optimizer/param_groups/0/lr".
class FieldList {
 public:
  explicit FieldList(const Checkpoint& checkpoint) {
    add_json("config", checkpoint.config);
    add_json("metrics", checkpoint.metrics);
    add_json("reprise/random", checkpoint.random);
    const Document document = checkpoint.to_document();
    for (const DictEntry& entry : document.root.as_dict().entries) {
      const auto key = entry.key.if_string();
      if (!key || *key == "config" || *key == "metrics") continue;
      walk(std::string(*key), entry.value, 0);
    }
  }

  const std::vector<std::pair<std::string, Json>>& fields() const { return fields_; }

 private:
  // Values that a small file shares are as many fields as there are ways to them.
  void spend(std::size_t bytes) {
    spent_bytes_ += bytes;
    if (spent_bytes_ > kFieldsLimit) {
      fail(Code::kUnsupported,
           "fields of more than {} bytes cannot be compared; --tensors leaves them out",
           kFieldsLimit);
    }
  }

  void walk(const std::string& name, Value value, int depth) {
    if (value.is_tensor() || name == "reprise/random" || depth > 60) return;
    spend(64 + name.size() + value.if_string().value_or("").size());
    const DictNode* dict = value.if_dict();
    if (dict != nullptr) {
      for (const DictEntry& entry : dict->entries) {
        const std::string key = entry.key.if_int()
                                    ? std::to_string(*entry.key.if_int())
                                    : std::string(entry.key.if_string().value_or("?"));
        walk(name + "/" + key, entry.value, depth + 1);
      }
    } else if (value.is_sequence() && !value.as_sequence().items.empty()) {
      const auto& items = value.as_sequence().items;
      for (std::size_t i = 0; i < items.size(); ++i)
        walk(fmt::format("{}/{}", name, i), items[i], depth + 1);
    } else {
      fields_.emplace_back(name, plain_.convert(value));
    }
  }

  void add_json(const std::string& name, const Json& json) {
    if (json.is_object() && !json.empty()) {
      for (const auto& [key, value] : json.items()) add_json(name + "/" + key, value);
    } else {
      fields_.emplace_back(name, json);
    }
  }

  static constexpr std::size_t kFieldsLimit = 16u << 20;
  std::size_t spent_bytes_ = 0;
  PlainJson plain_;
  std::vector<std::pair<std::string, Json>> fields_;
};

std::vector<FieldRow> compare_fields(const Checkpoint& a, const Checkpoint& b) {
  const FieldList of_a(a);
  const FieldList of_b(b);
  std::unordered_map<std::string, const Json*> in_b;
  for (const auto& [name, value] : of_b.fields()) in_b.emplace(name, &value);
  std::vector<FieldRow> rows;
  for (const auto& [name, value] : of_a.fields()) {
    const auto found = in_b.find(name);
    if (found == in_b.end()) {
      rows.push_back({name, value, nullptr});
    } else {
      if (*found->second != value) rows.push_back({name, value, *found->second});
      in_b.erase(found);
    }
  }
  for (const auto& [name, value] : of_b.fields()) {
    if (in_b.contains(name)) rows.push_back({name, nullptr, value});
  }
  return rows;
}

// JSON has no infinity; text says what the number would.
Json number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

Json to_json(const TensorRow& row) {
  Json json = {{"name", row.name}, {"status", to_string(row.status)}};
  const auto describe = [](const Tensor& t) {
    return Json{{"dtype", name(t.dtype())}, {"shape", t.shape()}};
  };
  if (row.status == Status::kChanged || row.status == Status::kWithin) {
    const Difference& d = row.difference;
    if (!d.same_dtype || !d.same_shape) {
      json["a"] = describe(*row.a);
      json["b"] = describe(*row.b);
    }
    if (d.same_shape) {
      json["differing"] = d.differing;
      json["max_abs"] = number(d.max_abs);
      json["max_rel"] = number(d.max_rel);
      json["max_ulp"] = d.same_dtype ? Json(d.max_ulp) : Json(nullptr);
      json["first_index"] = d.first_index;
    }
  }
  return json;
}

std::string ulp_text(const Difference& d) {
  if (!d.same_dtype) return "-";
  return d.max_ulp == std::numeric_limits<std::uint64_t>::max() ? "nan" : format_count(d.max_ulp);
}

void print_text(Io& io, const DiffOptions& options, const std::vector<TensorRow>& tensors,
                const std::vector<FieldRow>& fields) {
  using Align = Table::Align;
  Table table({{"tensor"},
               {""},
               {"differing", Align::kRight},
               {"max abs", Align::kRight},
               {"max rel", Align::kRight},
               {"ULP", Align::kRight},
               {"first at"}});
  std::size_t counts[5] = {};
  for (const TensorRow& row : tensors) {
    ++counts[static_cast<std::size_t>(row.status)];
    if (row.status == Status::kEqual && !options.all) continue;
    const Difference& d = row.difference;
    std::vector<std::string> cells = {printable(row.name), std::string(to_string(row.status))};
    if (row.a == nullptr || row.b == nullptr || d.equal) {
      cells.insert(cells.end(), 5, "");
    } else if (!d.same_shape) {
      cells.insert(cells.end(), {"", "", "", "",
                                 fmt::format("shape {} and {}", format_shape(row.a->shape()),
                                             format_shape(row.b->shape()))});
    } else {
      cells.insert(cells.end(), {format_count(d.differing), fmt::format("{:.3g}", d.max_abs),
                                 fmt::format("{:.3g}", d.max_rel), ulp_text(d),
                                 d.same_dtype ? format_shape(d.first_index)
                                              : fmt::format("dtype {} and {}", name(row.a->dtype()),
                                                            name(row.b->dtype()))});
    }
    table.add(std::move(cells));
  }
  table.print(io);
  if (!fields.empty()) {
    Table differing({{"field"}, {"a"}, {"b"}});
    const auto shown = [](const Json& json) {
      return json.is_null() ? "-" : printable(dump_json(json), 60);
    };
    for (const FieldRow& row : fields)
      differing.add({printable(row.field, 80), shown(row.a), shown(row.b)});
    differing.print(io);
  }
  const std::string about_fields =
      options.tensors_only ? "" : fmt::format("; {} fields differ", format_count(fields.size()));
  io.print("{} tensors equal, {} within the tolerance, {} changed, {} only in A, {} only in B{}\n",
           format_count(counts[0]), format_count(counts[1]), format_count(counts[2]),
           format_count(counts[3]), format_count(counts[4]), about_fields);
}

int run(const DiffOptions& options, Io& io) {
  if (!(options.tolerance >= 0)) fail(Code::kUsage, "--tolerance is a number of at least 0");
  // Whether the bytes are those that were written matters here: both are verified.
  const Checkpoint a = store::load(options.a, {.verify = true, .jobs = io.jobs});
  const Checkpoint b = store::load(options.b, {.verify = true, .jobs = io.jobs});
  const Named a_tensors = container::name_tensors(a.to_document());
  const Named b_tensors = container::name_tensors(b.to_document());
  const std::vector<TensorRow> tensors =
      compare_tensors(a_tensors, b_tensors, options.tolerance, io);
  const std::vector<FieldRow> fields =
      options.tensors_only ? std::vector<FieldRow>() : compare_fields(a, b);
  const bool same = fields.empty() && std::ranges::all_of(tensors, [](const TensorRow& row) {
                      return row.status == Status::kEqual || row.status == Status::kWithin;
                    });
  if (io.json) {
    Json tensor_list = Json::array();
    for (const TensorRow& row : tensors) tensor_list.push_back(to_json(row));
    Json field_list = Json::array();
    for (const FieldRow& row : fields)
      field_list.push_back({{"field", row.field}, {"a", row.a}, {"b", row.b}});
    io.print_json(
        {{"same", same}, {"tensors", std::move(tensor_list)}, {"fields", std::move(field_list)}});
  } else {
    print_text(io, options, tensors, fields);
  }
  return same ? 0 : static_cast<int>(Code::kNo);
}

}  // namespace

void add_diff(CommandLine& app) {
  auto options = std::make_shared<DiffOptions>();
  Command& command = app.command("diff", "Compare two checkpoints, tensor by tensor");
  command.about(
      "Tensors first, then every other field (uuid and metrics among them). ULP counts the numbers "
      "of that type that lie between two values. Files of different formats and versions compare "
      "as "
      "the version 5 they hold or upgrade to.");
  command.positional("A", options->a, "file or reference");
  command.positional("B", options->b, "file or reference");
  command
      .option("--tolerance", options->tolerance,
              "a tensor whose values are at most this far apart is not changed")
      .placeholder("X");
  command.flag("--all", options->all, "also list equal tensors");
  command.flag("--tensors", options->tensors_only,
               "compare tensors only: two saves of one state are then the same");
  command.example("ckpt diff 'a/<last>' 'b/<last>'", "how far the weights of two runs are apart");
  command.exit_code(1, "they differ");
  command.exit_code(14, "incomplete: the writer never committed");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::cli
