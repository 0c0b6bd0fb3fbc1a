// What a run wrote about its own progress: the rows of train.tsv and valid.tsv.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::report {

// A file of more bytes than this, or with more columns, is none of ours.
inline constexpr std::uint64_t kLargestHistory = 1u << 30;
inline constexpr std::size_t kMostColumns = 256;

struct HistoryRow {
  std::uint64_t update = 0;
  std::uint64_t epoch = 0;
  std::uint64_t samples_seen = 0;
  std::vector<double> values;  // one for each column of History::columns; NaN where unknown
};

// Rows in the order of updates. A value; about 100 bytes a row.
struct History {
  std::vector<std::string> columns;  // those behind update, epoch and samples_seen
  std::vector<HistoryRow> rows;

  // The index of a column.
  std::optional<std::size_t> column(std::string_view name) const;
};

// Reads a table with the columns update, epoch, samples_seen and others. An empty file has no
// rows. A last line without newline is being written, and left out.
// Errors: kNotFound, kIo; kCorrupt naming file, line and column: another header, a row with too
// many or too few columns, what is no number, an update or a number of samples that goes back.
History read_history(const std::filesystem::path& path);

}  // namespace reprise::report
