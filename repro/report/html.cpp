#include "repro/report/html.h"

#include "ckpt/base/error.h"

#include <fmt/format.h>

#include <cmath>

namespace reprise::report {

std::string html(std::string_view text, std::size_t limit) {
  std::string out;
  for (const char c : printable(text, limit)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string grouped(std::uint64_t count) {
  const std::string digits = std::to_string(count);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string short_number(double value) {
  const double size = std::abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-4)) return fmt::format("{:.3g}", value);
  if (size >= 1e9) return fmt::format("{:.4g}G", value / 1e9);
  if (size >= 1e6) return fmt::format("{:.4g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.4g}k", value / 1e3);
  return fmt::format("{:.5g}", value);
}

std::string_view style() {
  return R"css(
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2024;--soft:#5c656e;--line:#d9dee3;--card:#f6f8fa;
--good:#12812a;--bad:#c62828;--epoch:#e05050;
--c0:#0072b2;--c1:#c77700;--c2:#8e44ad;--c3:#795548;--c4:#b8568f;--c5:#2a9fd6;--c6:#666;--c7:#8a7a00}
@media (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e6e9ec;--soft:#9aa4ae;--line:#343b42;
--card:#1c2126;--good:#4cc764;--bad:#ff7b72;--epoch:#a84848;
--c0:#58a6ff;--c1:#f0a840;--c2:#c58af9;--c3:#c09a86;--c4:#f08cc4;--c5:#6fd3ff;--c6:#aaa;--c7:#d3c24a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:1rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.15rem;margin:2rem 0 .6rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:1rem 0 .4rem}p{margin:.4rem 0}.soft{color:var(--soft)}
nav a{margin-right:1rem;white-space:nowrap}a{color:var(--c0)}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.92em}
th,td{text-align:left;vertical-align:top;padding:.25rem .7rem .25rem 0;border-bottom:1px solid var(--line)}
thead th{color:var(--soft);font-weight:600;white-space:nowrap}
td{overflow-wrap:anywhere;min-width:5rem}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:normal;white-space:nowrap;min-width:0}
tbody th{font-weight:500;overflow-wrap:break-word}
.wide tbody th,.wide thead th:first-child{position:sticky;left:0;background:var(--paper)}
code{font:0.9em ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.good{color:var(--good)}.bad{color:var(--bad)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:1rem}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6rem;break-inside:avoid}
figcaption{font-weight:600;margin-bottom:.2rem;overflow-wrap:anywhere}
.charts svg{width:100%;height:auto;display:block}
svg text{fill:var(--soft);font:12px system-ui,"DejaVu Sans",sans-serif}
svg .grid{stroke:var(--line);stroke-width:1}svg .epoch{stroke:var(--epoch);stroke-width:1;opacity:.7;shape-rendering:crispEdges;vector-effect:non-scaling-stroke}
svg .curve{fill:none;stroke-width:1.8;stroke-linejoin:round}svg .best{fill:var(--good);stroke:var(--paper);stroke-width:1.5}
svg .box{fill:var(--card);stroke:var(--soft)}svg .missing{stroke-dasharray:5 4}
svg .edge{fill:none;stroke:var(--soft);stroke-width:1.3}svg .name{fill:var(--ink);font-weight:600}
.c0{stroke:var(--c0);fill:var(--c0)}.c1{stroke:var(--c1);fill:var(--c1)}.c2{stroke:var(--c2);fill:var(--c2)}
.c3{stroke:var(--c3);fill:var(--c3)}.c4{stroke:var(--c4);fill:var(--c4)}.c5{stroke:var(--c5);fill:var(--c5)}
.c6{stroke:var(--c6);fill:var(--c6)}.c7{stroke:var(--c7);fill:var(--c7)}
.legend span{display:inline-block;margin-right:1rem;overflow-wrap:anywhere}
.legend svg{width:26px;height:10px;margin-right:.35rem;vertical-align:middle}
details{margin:.4rem 0}summary{cursor:pointer;padding:.3rem 0}
@media (max-width:600px){body{padding:.7rem;font-size:14px}th,td{padding-right:.5rem}
thead th,th.n{white-space:normal}ol{padding-left:1.4rem}}
@media print{:root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#444;--line:#ccc;--card:#fff;
--good:#12812a;--bad:#c62828;--epoch:#e05050;--c0:#0072b2;--c1:#c77700;--c2:#8e44ad;--c3:#795548;
--c4:#b8568f;--c5:#2a9fd6;--c6:#666;--c7:#8a7a00}
body{max-width:none;padding:0;font-size:10.5pt}nav{display:none}.wide{overflow:visible}
h2,h3{break-after:avoid}tr{break-inside:avoid}
details{font-size:7.5pt;line-height:1.25}details th,details td{padding-top:.05rem;padding-bottom:.05rem}
details::details-content{content-visibility:visible;block-size:auto}}
)css";
}

}  // namespace reprise::report
