// Text from files, made fit for a page; and the style of the page.
#pragma once

#include <string>
#include <string_view>

namespace reprise::report {

// `text` as the content of an element or of a quoted attribute: markup means nothing in it,
// control characters and invalid UTF-8 are shown as escapes, what exceeds `limit` bytes is cut.
std::string html(std::string_view text, std::size_t limit = 400);

// "12,345" and "1.2M": a count in full, and as short as an axis needs it.
std::string grouped(std::uint64_t count);
std::string short_number(double value);

// The style sheet: light and dark by the reader's setting, one column on a phone, ink-saving and
// unfolded on paper. Class "cN" colours curve N (there are 8), see chart_svg.h.
std::string_view style();

}  // namespace reprise::report
