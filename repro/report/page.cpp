#include "repro/report/page.h"

#include "ckpt/base/progress.h"
#include "repro/report/chart_svg.h"
#include "repro/report/html.h"
#include "repro/report/lineage_svg.h"
#include "repro/report/scores.h"

#include <fmt/format.h>

#include <algorithm>

namespace reprise::report {
namespace {

struct RowOf {
  std::string name;
  std::vector<std::string> cells;  // HTML
};

// What a run is called, with the colour that it has in the charts.
std::string heading_of(const RunRecord& run, std::size_t index) {
  return fmt::format(
      "<svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path class=\"{}\"{} d=\"M0 "
      "5H26\"/></svg>{}",
      curve_classes(index), curve_dashes(index), html(run.label));
}

std::string configured(const RunRecord& run, const char* key) {
  if (!run.fingerprint.is_object()) return {};
  const Json::json_pointer place(
      std::string("/predicate/buildDefinition/externalParameters/configuration/") + key);
  if (!run.fingerprint.contains(place)) return {};
  const Json& value = run.fingerprint.at(place);
  return value.is_string() ? value.get<std::string>() : dump_json(value);
}

std::string best_of(const RunRecord& run) {
  const auto major = major_metric(run);
  if (!major) return "-";
  const std::string wanted = major->first + ":" + std::string(store::to_string(major->second));
  const std::vector<Score> scores = best_scores(run, {wanted});
  if (scores.empty()) return "-";
  return fmt::format("<b class=\"good\">{:.6g}</b> {} <span class=\"soft\">after {} samples</span>",
                     scores[0].value, html(scores[0].metric), grouped(scores[0].samples_seen));
}

std::string state_of(const RunRecord& run) {
  const bool died =
      run.info.state == store::RunState::kInterrupted || run.info.state == store::RunState::kFailed;
  const std::string reason = run.info.reason.empty() ? "" : ": " + run.info.reason;
  return fmt::format("<span class=\"{}\">{}{}</span>", died ? "bad" : "",
                     html(store::to_string(run.info.state)), html(reason));
}

std::string or_dash(std::string_view text) { return text.empty() ? "-" : html(text); }

std::vector<RowOf> summary_rows(const PageContent& content) {
  std::vector<RowOf> rows;
  const auto add = [&](const char* name, const auto& cell_of) {
    RowOf row{name, {}};
    for (const RunRecord& run : content.runs) row.cells.push_back(cell_of(run));
    if (std::ranges::any_of(row.cells, [](const std::string& cell) { return cell != "-"; }))
      rows.push_back(std::move(row));
  };
  add("best", best_of);
  add("state", state_of);
  add("progress", [](const RunRecord& run) {
    return fmt::format("{} updates, {} epochs", grouped(run.updates()), grouped(run.epochs()));
  });
  add("samples seen", [](const RunRecord& run) { return grouped(run.samples_seen()); });
  add("time in updates", [](const RunRecord& run) {
    const double hours = run.hours();
    return hours > 0 && hours < 1e6 ? format_duration(hours * 3600) : std::string("-");
  });
  add("mode", [](const RunRecord& run) { return or_dash(configured(run, "mode")); });
  add("architecture", [](const RunRecord& run) { return or_dash(configured(run, "arch")); });
  add("data", [](const RunRecord& run) { return or_dash(configured(run, "data")); });
  add("batch size", [](const RunRecord& run) { return or_dash(configured(run, "batch-size")); });
  add("learning rate", [](const RunRecord& run) { return or_dash(configured(run, "lr")); });
  add("seed", [](const RunRecord& run) { return or_dash(configured(run, "seed")); });
  add("started", [](const RunRecord& run) {
    std::string text = run.info.started;  // 2026-11-21T09:00:00Z
    std::ranges::replace(text, 'T', ' ');
    if (text.ends_with('Z')) text.replace(text.size() - 1, 1, " UTC");
    return or_dash(text);
  });
  add("host", [](const RunRecord& run) { return or_dash(run.info.host); });
  add("directory",
      [](const RunRecord& run) { return "<code>" + html(run.path.native()) + "</code>"; });
  add("run", [](const RunRecord& run) {
    return run.info.run.is_nil() ? "-" : "<code>" + run.info.run.text() + "</code>";
  });
  return rows;
}

std::string legend(const PageContent& content) {
  std::string out = "<p class=\"legend\">";
  for (std::size_t i = 0; i < content.runs.size(); ++i)
    out += "<span>" + heading_of(content.runs[i], i) + "</span>";
  return out +
         "</p><p class=\"soft\"><span class=\"good\">&#9679;</span> best value &nbsp; <span "
         "class=\"bad\">|</span> end of an epoch</p>";
}

// One chart a metric; those of evaluations first.
std::string chart(const PageContent& content, const std::string& metric, bool with_best) {
  std::vector<std::optional<Curve>> curves;
  const std::string plain = metric_of(metric).first;
  for (const RunRecord& run : content.runs) {
    std::optional<store::MetricMode> mode;
    if (with_best) mode = metric_of(metric).second;
    curves.push_back(curve_of(run, plain, mode, Axis::kSamples));
  }
  const std::string svg = chart_svg(curves, Axis::kSamples);
  if (svg.empty()) return {};
  return "<figure><figcaption>" + html(plain) + "</figcaption>" + svg + "</figure>";
}

}  // namespace

std::string summary_section(const PageContent& content) {
  std::string out =
      "<section id=\"summary\"><h2>Summary</h2><div class=\"wide\"><table><thead>"
      "<tr><th></th>";
  for (std::size_t i = 0; i < content.runs.size(); ++i)
    out += "<th class=\"legend\">" + heading_of(content.runs[i], i) + "</th>";
  out += "</tr></thead><tbody>";
  for (const RowOf& row : summary_rows(content)) {
    out += "<tr><th scope=\"row\">" + row.name + "</th>";
    for (const std::string& cell : row.cells) out += "<td>" + cell + "</td>";
    out += "</tr>";
  }
  return out + "</tbody></table></div></section>";
}

std::string curves_section(const PageContent& content) {
  std::vector<std::string> metrics;
  const auto add = [&](const std::string& name) {
    if (std::ranges::find(metrics, name) == metrics.end()) metrics.push_back(name);
  };
  for (const RunRecord& run : content.runs) {
    if (const auto major = major_metric(run)) {
      add(major->first);  // what decides stands first
    }
  }
  for (const RunRecord& run : content.runs) {
    for (const std::string& name : metric_names(run)) add(name);
  }
  std::string charts;
  for (const std::string& metric : metrics) charts += chart(content, metric, true);
  for (const char* column : {"train/loss", "train/lr", "train/grad_norm"})
    charts += chart(content, column, false);
  std::string out = "<section id=\"curves\"><h2>Curves</h2>";
  if (charts.empty()) return out + "<p class=\"soft\">Nothing was measured yet.</p></section>";
  return out + legend(content) + "<div class=\"charts\">" + charts + "</div></section>";
}

std::string lineage_section(const PageContent& content) {
  std::map<Uuid, std::string> names;
  for (const RunRecord& run : content.runs) names[run.info.run] = run.label;
  const std::string svg = lineage_svg(content.lineage, names);
  return "<section id=\"lineage\"><h2>Lineage</h2>" +
         (svg.empty() ? "<p class=\"soft\">There are no checkpoints.</p>"
                      : "<p class=\"soft\">Which saved state came from which; dashed: the file was "
                        "not found in these runs.</p><div class=\"wide\">" +
                            svg + "</div>") +
         "</section>";
}

std::string page(const PageContent& content) {
  std::string title;
  for (const RunRecord& run : content.runs) title += (title.empty() ? "" : ", ") + run.label;
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
      "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\"><meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\"><title>Report: ";
  out += html(title, 120) + "</title><style>";
  out += style();
  out += fmt::format("</style></head><body><header><h1>{}</h1><p class=\"soft\">made {}</p><nav>",
                     content.runs.size() == 1 ? "Run " + html(title, 120)
                                              : fmt::format("{} runs", content.runs.size()),
                     html(content.made));
  for (const char* name :
       {"summary", "curves", "environment", "lineage", "ledger", "differences"}) {
    if (name == std::string_view("differences") && content.comparisons.empty()) continue;
    out += fmt::format("<a href=\"#{0}\">{0}</a> ", name);
  }
  out += "</nav></header>\n<main>";
  out += summary_section(content) + "\n" + curves_section(content) + "\n" +
         environment_section(content) + "\n" + lineage_section(content) + "\n" +
         ledger_section(content) + "\n" + differences_section(content);
  return out + "</main></body></html>\n";
}

}  // namespace reprise::report
