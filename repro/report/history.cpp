#include "repro/report/history.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace reprise::report {
namespace {

constexpr std::array<std::string_view, 3> kLeading = {"update", "epoch", "samples_seen"};

// Cuts `line` at tabs; stops one behind the limit, which is enough to see that it was exceeded.
std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  while (cells.size() <= kMostColumns) {
    const std::size_t tab = line.find('\t');
    cells.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) break;
    line.remove_prefix(tab + 1);
  }
  return cells;
}

template <typename T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> columns_of(std::string_view line, const std::string& place) {
  const std::vector<std::string_view> cells = cells_of(line);
  if (cells.size() > kMostColumns) {
    fail(Code::kCorrupt, "{}: line 1 has more than {} columns", place, kMostColumns);
  }
  if (cells.size() < kLeading.size() ||
      !std::equal(kLeading.begin(), kLeading.end(), cells.begin())) {
    fail(Code::kCorrupt,
         "{}: line 1 is '{}', columns that begin with update, epoch and samples_seen were expected",
         place, printable(line, 80));
  }
  return {cells.begin() + kLeading.size(), cells.end()};
}

HistoryRow row_of(std::string_view line, const History& history, const std::string& place,
                  std::size_t line_number) {
  const std::vector<std::string_view> cells = cells_of(line);
  if (cells.size() != history.columns.size() + kLeading.size()) {
    fail(Code::kCorrupt, "{}: line {} has {} columns, the first line {}", place, line_number,
         cells.size(), history.columns.size() + kLeading.size());
  }
  const auto refuse = [&](std::size_t cell, std::string_view name) {
    fail(Code::kCorrupt, "{}: line {}: {} is '{}', a number was expected", place, line_number,
         printable(name, 80), printable(cells[cell], 80));
  };
  HistoryRow row;
  const std::array places = {&row.update, &row.epoch, &row.samples_seen};
  for (std::size_t i = 0; i < kLeading.size(); ++i) {
    const auto value = number<std::uint64_t>(cells[i]);
    if (!value) refuse(i, kLeading[i]);
    *places[i] = *value;
  }
  for (std::size_t i = 0; i < history.columns.size(); ++i) {
    const auto value = number<double>(cells[kLeading.size() + i]);
    if (!value) refuse(kLeading.size() + i, history.columns[i]);
    row.values.push_back(*value);
  }
  return row;
}

}  // namespace

std::optional<std::size_t> History::column(std::string_view name) const {
  const auto at = std::ranges::find(columns, name);
  if (at == columns.end()) return std::nullopt;
  return static_cast<std::size_t>(at - columns.begin());
}

History read_history(const std::filesystem::path& path) {
  const std::string text = read_text(path, kLargestHistory);
  const std::string place = path.string();
  History history;
  std::size_t line_number = 0;
  for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos;
       at = end + 1) {
    const std::string_view line = std::string_view(text).substr(at, end - at);
    if (++line_number == 1) {
      history.columns = columns_of(line, place);
      continue;
    }
    HistoryRow row = row_of(line, history, place, line_number);
    if (!history.rows.empty() && (row.update < history.rows.back().update ||
                                  row.samples_seen < history.rows.back().samples_seen)) {
      fail(Code::kCorrupt, "{}: line {}: update {} after {} samples does not follow update {}",
           place, line_number, row.update, row.samples_seen, history.rows.back().update);
    }
    history.rows.push_back(std::move(row));
  }
  return history;
}

}  // namespace reprise::report
