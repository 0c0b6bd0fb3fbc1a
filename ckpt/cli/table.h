// Aligned columns of text for terminals.
#pragma once

#include "ckpt/base/io.h"

#include <cstddef>
#include <string>
#include <vector>

namespace reprise::cli {

// Collects rows and prints them with every column as wide as its widest cell. Cells
// are shown as they are: pass what comes from a file through printable().
class Table {
 public:
  enum class Align : std::uint8_t { kLeft, kRight };
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // With a heading in bold where there is colour; nothing when there are no rows.
  void print(Io& io) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Columns that `text` takes on a terminal: one for each code point, which is right for
// what printable() lets through but wide East Asian characters.
std::size_t display_width(std::string_view text);

// "[64, 3, 7, 7]"; "[]" for a scalar.
std::string format_shape(const std::vector<std::int64_t>& shape);

// "1,234,567".
std::string format_count(std::uint64_t count);

}  // namespace reprise::cli
