// CSV as RFC 4180 has it, out of untrusted text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::engine {

// A header and rows of as many fields. A value.
struct CsvTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::size_t> lines;  // of each row's beginning in the text, from 1
};

// Comma-separated fields; "quoted" ones may hold commas, line ends and doubled quotes. Line
// ends are LF or CRLF; a byte-order mark at the beginning and empty lines are skipped; spaces
// belong to the field. `name` is for messages.
// Errors: kCorrupt naming the line: no header, a row with more or fewer fields, a quote that
// does not end or is followed by text, a quote inside an unquoted field, a NUL byte.
CsvTable parse_csv(std::string_view text, std::string_view name);

}  // namespace reprise::engine
