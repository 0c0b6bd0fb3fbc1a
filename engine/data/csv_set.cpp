#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "engine/data/csv.h"
#include "engine/data/decode.h"
#include "engine/data/sources.h"
#include "engine/data/stored_set.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

namespace reprise::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestCsv = std::uint64_t{1} << 30;

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  return first == std::string_view::npos
             ? std::string_view{}
             : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<float> number_in(std::string_view field) {
  std::string_view text = trimmed(field);
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size() && !text.empty();
  const auto narrow = static_cast<float>(value);
  return whole && std::isfinite(narrow) ? std::optional(narrow) : std::nullopt;
}

// The columns by their part in the set.
struct Columns {
  std::size_t path = 0;
  std::optional<std::size_t> split;
  std::vector<std::size_t> targets;
};

template <std::size_t N>
std::optional<std::size_t> find_column(const CsvTable& table,
                                       const std::array<std::string_view, N>& names) {
  for (std::size_t i = 0; i < table.header.size(); ++i) {
    const std::string name = lower(trimmed(table.header[i]));
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      return i;
    }
  }
  return std::nullopt;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : ", ") + printable(name, 60);
  }
  return text;
}

std::optional<std::size_t> split_column(const CsvTable& table) {
  return find_column(table, std::array<std::string_view, 1>{"split"});
}

Columns find_columns(const CsvTable& table, const fs::path& file, const OpenOptions& options) {
  const auto path =
      find_column(table, std::array<std::string_view, 4>{"path", "file", "filename", "image"});
  if (!path) {
    fail(Code::kCorrupt, "{}: no column called path, file, filename or image; there are: {}",
         file.string(), joined(table.header));
  }
  Columns columns{*path, split_column(table), {}};
  for (const std::string& wanted : options.target_columns) {
    const auto at = std::find(table.header.begin(), table.header.end(), wanted);
    if (at == table.header.end()) {
      fail(Code::kUsage, "{}: no column called {}; there are: {}", file.string(), printable(wanted),
           joined(table.header));
    }
    columns.targets.push_back(static_cast<std::size_t>(at - table.header.begin()));
  }
  for (std::size_t i = 0; options.target_columns.empty() && i < table.header.size(); ++i) {
    if (i != columns.path && i != columns.split) {
      columns.targets.push_back(i);
    }
  }
  if (columns.targets.empty()) {
    fail(Code::kCorrupt, "{}: no target column beside {}", file.string(), joined(table.header));
  }
  return columns;
}

bool belongs(std::string_view value, Split split) {
  const std::string name = lower(trimmed(value));
  return split == Split::kTrain
             ? name == "train"
             : name == "val" || name == "validation" || name == "valid" || name == "test";
}

bool names_classes(std::string_view column) {
  const std::string name = lower(trimmed(column));
  return name == "label" || name == "class" || name == "category";
}

Task task_of(const CsvTable& table, const Columns& columns, const OpenOptions& options,
             const fs::path& file) {
  if (options.task) {
    return *options.task;
  }
  if (columns.targets.size() > 1) {
    return Task::kRegression;
  }
  const std::size_t column = columns.targets.front();
  if (names_classes(table.header[column])) {
    return Task::kClassification;
  }
  const auto is_text = [&](const auto& row) { return !number_in(row[column]); };
  const auto texts = std::count_if(table.rows.begin(), table.rows.end(), is_text);
  // One cell that is no number must not make classes of all the others.
  if (texts > 0 && 2 * static_cast<std::size_t>(texts) <= table.rows.size()) {
    const auto first = std::find_if(table.rows.begin(), table.rows.end(), is_text);
    fail(Code::kCorrupt,
         "{}: line {}: column {} holds {}, where {} of {} rows hold finite numbers; correct it, or "
         "call the column label if these are classes",
         file.string(), table.lines[static_cast<std::size_t>(first - table.rows.begin())],
         printable(table.header[column], 60), printable((*first)[column], 60),
         table.rows.size() - static_cast<std::size_t>(texts), table.rows.size());
  }
  return texts > 0 ? Task::kClassification : Task::kRegression;
}

// A row of neither half would be learnt from by mistake, or be lost.
void require_split_values(const CsvTable& table, std::size_t column, const fs::path& file) {
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const std::string& value = table.rows[i][column];
    if (!belongs(value, Split::kTrain) && !belongs(value, Split::kValidation)) {
      fail(Code::kCorrupt,
           "{}: line {}: the split is {}; known are train, and val, valid, validation or test; "
           "call the column otherwise if it is about something else",
           file.string(), table.lines[i], printable(value, 60));
    }
  }
}

// All classes of the table, of both halves: by number when all are numbers, else bytewise.
std::vector<std::string> classes_of(const CsvTable& table, std::size_t column) {
  std::set<std::string> names;
  for (const auto& row : table.rows) {
    names.emplace(trimmed(row[column]));
  }
  std::vector<std::string> sorted(names.begin(), names.end());
  if (std::all_of(sorted.begin(), sorted.end(),
                  [](const auto& name) { return number_in(name).has_value(); })) {
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return *number_in(a) < *number_in(b); });
  }
  return sorted;
}

class CsvSet final : public StoredSet {
 public:
  CsvSet(const fs::path& file, Split split, const OpenOptions& options) : file_(file) {
    root_ = file.parent_path();
    const CsvTable table = parse_csv(read_text(file, kLargestCsv), file.string());
    const Columns columns = find_columns(table, file, options);
    task_ = task_of(table, columns, options, file);
    if (columns.split) require_split_values(table, *columns.split, file);
    mirror_ = options.mirror.value_or(task_ == Task::kClassification ? MirrorRule::kKeeps
                                                                     : MirrorRule::kForbids);
    name_targets(table, columns, options);
    const bool halves = columns.split && has_half(table, *columns.split, Split::kTrain) &&
                        has_half(table, *columns.split, Split::kValidation);
    digest_salt_ = !halves ? "" : split == Split::kTrain ? "train" : "validation";
    const ClassIndex index(class_names_);
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      if (!halves || belongs(table.rows[i][*columns.split], split)) {
        add_row(table, i, columns, index);
      }
    }
    if (paths_.empty()) {
      fail(Code::kCorrupt, "{}: no rows below the header", file.string());
    }
    std::vector<fs::path> first;
    for (std::size_t i = 0; i < std::min<std::size_t>(paths_.size(), options.skip_bad ? 1000 : 1);
         ++i) {
      first.push_back(root_ / paths_[i]);
    }
    const FirstImage image = probe_first_image(first, options.skip_bad);
    native_size_ = image.size;
    channels_ = image.channels;
  }

  static bool has_half(const CsvTable& table, std::size_t column, Split split) {
    return std::any_of(table.rows.begin(), table.rows.end(),
                       [&](const auto& row) { return belongs(row[column], split); });
  }

  std::uint64_t size() const override { return paths_.size(); }
  Sample read(std::uint64_t id) const override {
    Sample sample = target(id);
    const fs::path path = root_ / paths_[id];
    sample.image = decode_image(read_file(path, kLargestImageFile), path.string());
    return sample;
  }
  Sample target(std::uint64_t id) const override {
    check_id(id);
    if (task_ == Task::kClassification) {
      return {{}, labels_[id], {}};
    }
    const auto first = values_.begin() + static_cast<std::ptrdiff_t>(id * target_names_.size());
    return {{}, -1, {first, first + static_cast<std::ptrdiff_t>(target_names_.size())}};
  }
  std::string name(std::uint64_t id) const override {
    check_id(id);
    return (root_ / paths_[id]).string();
  }

 protected:
  std::vector<std::string> files() const override {
    std::vector<std::string> files = paths_;
    files.push_back(file_.filename().string());
    return files;
  }

 private:
  void name_targets(const CsvTable& table, const Columns& columns, const OpenOptions& options) {
    if (task_ == Task::kRegression) {
      for (const std::size_t column : columns.targets) {
        target_names_.emplace_back(trimmed(table.header[column]));
      }
      return;
    }
    if (columns.targets.size() != 1) {
      fail(Code::kUsage, "{}: classification needs one target column, there are {}: name one",
           file_.string(), columns.targets.size());
    }
    class_names_ = options.class_names.empty() ? classes_of(table, columns.targets.front())
                                               : options.class_names;
  }

  void add_row(const CsvTable& table, std::size_t number, const Columns& columns,
               const ClassIndex& index) {
    const auto& row = table.rows[number];
    const std::size_t line = table.lines[number];
    if (row[columns.path].empty()) {
      fail(Code::kCorrupt, "{}: line {}: the path is empty", file_.string(), line);
    }
    paths_.push_back(row[columns.path]);
    if (task_ == Task::kClassification) {
      labels_.push_back(index.at(trimmed(row[columns.targets.front()]),
                                 fmt::format("{}: line {}", file_.string(), line)));
      return;
    }
    for (const std::size_t column : columns.targets) {
      const auto value = number_in(row[column]);
      if (!value) {
        fail(Code::kCorrupt,
             "{}: line {}: column {} holds {}, which is no finite number; leave the "
             "column out of the targets or correct it",
             file_.string(), line, printable(table.header[column], 60), printable(row[column], 60));
      }
      values_.push_back(*value);
    }
  }

  fs::path file_;
  std::vector<std::string> paths_;
  std::vector<std::int64_t> labels_;
  std::vector<float> values_;  // [samples, targets]
};

}  // namespace

DatasetPtr open_csv(const fs::path& path, Split split, const OpenOptions& options) {
  return std::make_shared<CsvSet>(path, split, options);
}

bool csv_has_validation(const fs::path& path) {
  const CsvTable table = parse_csv(read_text(path, kLargestCsv), path.string());
  const auto column = split_column(table);
  return column && CsvSet::has_half(table, *column, Split::kTrain) &&
         CsvSet::has_half(table, *column, Split::kValidation);
}

}  // namespace reprise::engine
