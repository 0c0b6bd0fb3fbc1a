#include "engine/data/csv.h"

#include "ckpt/base/error.h"

namespace reprise::engine {
namespace {

class Parser {
 public:
  Parser(std::string_view text, std::string_view name) : text_(text), name_(name) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text_.starts_with(kByteOrderMark)) {
      at_ = kByteOrderMark.size();
    }
  }

  CsvTable parse() {
    CsvTable table;
    while (at_ < text_.size()) {
      if (end_of_line()) {
        continue;
      }
      const std::size_t line = line_;
      std::vector<std::string> row = parse_row();
      if (table.header.empty()) {
        table.header = std::move(row);
        continue;
      }
      if (row.size() != table.header.size()) {
        fail(Code::kCorrupt, "{}: line {}: {} fields, the header has {}", name_, line, row.size(),
             table.header.size());
      }
      table.rows.push_back(std::move(row));
      table.lines.push_back(line);
    }
    if (table.header.empty()) {
      fail(Code::kCorrupt, "{}: no header: the first line must name the columns", name_);
    }
    return table;
  }

 private:
  // Consumes a line end if there is one here.
  bool end_of_line() {
    if (text_[at_] == '\n' || text_.substr(at_, 2) == "\r\n") {
      at_ += text_[at_] == '\n' ? 1U : 2U;
      ++line_;
      return true;
    }
    return false;
  }

  std::vector<std::string> parse_row() {
    std::vector<std::string> row;
    while (true) {
      row.push_back(at_ < text_.size() && text_[at_] == '"' ? parse_quoted() : parse_plain());
      if (at_ >= text_.size() || end_of_line()) {
        return row;
      }
      if (text_[at_] != ',') {
        fail(Code::kCorrupt,
             "{}: line {}: text after the closing quote; a quote inside a quoted field is written "
             "twice",
             name_, line_);
      }
      ++at_;
    }
  }

  std::string parse_quoted() {
    const std::size_t first_line = line_;
    std::string field;
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c != '"') {
        check(c);
        line_ += c == '\n' ? 1U : 0U;
        field += c;
      } else if (at_ < text_.size() && text_[at_] == '"') {
        field += '"';
        ++at_;
      } else {
        return field;
      }
    }
    fail(Code::kCorrupt, "{}: line {}: the quoted field that begins here does not end", name_,
         first_line);
  }

  std::string parse_plain() {
    const std::size_t first = at_;
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\n' &&
           text_.substr(at_, 2) != "\r\n") {
      if (text_[at_] == '"') {
        fail(Code::kCorrupt, "{}: line {}: a quote inside an unquoted field; quote the whole field",
             name_, line_);
      }
      check(text_[at_++]);
    }
    return std::string(text_.substr(first, at_ - first));
  }

  void check(char c) const {
    if (c == '\0') {
      fail(Code::kCorrupt, "{}: line {}: a NUL byte; this is no CSV text", name_, line_);
    }
  }

  std::string_view text_;
  std::string_view name_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

}  // namespace

CsvTable parse_csv(std::string_view text, std::string_view name) {
  return Parser(text, name).parse();
}

}  // namespace reprise::engine
