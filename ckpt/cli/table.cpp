#include "ckpt/cli/table.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace reprise::cli {

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string format_shape(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::string format_count(std::uint64_t count) {
  const std::string digits = std::to_string(count);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

void Table::print(Io& io) const {
  if (rows_.empty()) return;
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(display_width(column.heading));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], display_width(row[i]));
  }
  const auto line = [&](const auto& cell_of, bool bold) {
    std::string text;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string& cell = cell_of(i);
      const std::string padding(widths[i] - display_width(cell), ' ');
      const bool right = columns_[i].align == Align::kRight;
      const bool last = i + 1 == columns_.size();
      if (i > 0) text += "  ";
      if (right) text += padding;
      text += bold ? io.bold(cell) : cell;
      if (!right && !last) text += padding;
    }
    text += '\n';
    io.write(text);
  };
  line([&](std::size_t i) -> const std::string& { return columns_[i].heading; }, true);
  for (const auto& row : rows_) {
    line([&](std::size_t i) -> const std::string& { return row[i]; }, false);
  }
}

}  // namespace reprise::cli
