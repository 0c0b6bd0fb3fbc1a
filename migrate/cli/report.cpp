#include "migrate/cli/report.h"

#include "ckpt/base/file.h"
#include "ckpt/base/progress.h"

#include <algorithm>
#include <map>

namespace reprise::migrate {
namespace fs = std::filesystem;

namespace {

struct Counts {
  std::size_t migrated = 0, done_before = 0, skipped = 0, failed = 0;
};

Counts count(std::span<const FileReport> reports) {
  Counts counts;
  for (const FileReport& report : reports) {
    if (!report.ok) {
      ++counts.failed;
    } else if (!report.skipped.empty()) {
      ++counts.skipped;
    } else if (report.already_done) {
      ++counts.done_before;
    } else {
      ++counts.migrated;
    }
  }
  return counts;
}

// Text as HTML: printable first, so that no control character gets through.
std::string html(std::string_view text, std::size_t limit = 2000) {
  std::string out;
  for (const char c : printable(text, limit)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--line:#8884;--ok:#1a7f37;--bad:#c62828;--dim:#767676;--card:#8881}
@media(prefers-color-scheme:dark){:root{--ok:#4cc26a;--bad:#ff8a80;--dim:#a0a0a0}}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.3rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p,summary,td,dd,li{overflow-wrap:anywhere}code{font-size:.9em}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid var(--line)}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
details{border:1px solid var(--line);border-radius:.4rem;padding:.4rem .8rem;margin:.4rem 0}
details[open]{background:var(--card)}summary{cursor:pointer}
.ok{color:var(--ok)}.bad{color:var(--bad)}.dim{color:var(--dim)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dd{margin:0}ul{margin:.2rem 0}
@media(max-width:30rem){dl{grid-template-columns:1fr}dt{color:var(--dim)}.wide{display:none}}
@media print{details::details-content{content-visibility:visible}body{max-width:none}})";

std::string came_from(const FileReport& report) {
  if (report.dialect) return *report.dialect;
  return report.schema ? fmt::format("schema {}", *report.schema) : "unknown";
}

std::string state_of(const FileReport& report, bool plan) {
  if (!report.ok) return R"(<span class="bad">failed</span>)";
  if (!report.skipped.empty()) return R"(<span class="dim">nothing to do</span>)";
  if (report.already_done) return R"(<span class="ok">done before</span>)";
  return plan ? R"(<span class="ok">would migrate</span>)"
              : R"(<span class="ok">migrated, verified</span>)";
}

void add_row(std::string& page, std::string_view name, std::string_view value) {
  if (!value.empty())
    page += fmt::format("<dt>{}</dt><dd><code>{}</code></dd>\n", name, html(value));
}

// The folder that all sources lie in.
fs::path common_folder(std::span<const FileReport> reports) {
  if (reports.empty()) return {};
  fs::path folder = reports[0].source.parent_path();
  for (const FileReport& report : reports) {
    const auto [own, other] = std::ranges::mismatch(folder, report.source.parent_path());
    fs::path shared;
    for (auto part = folder.begin(); part != own; ++part) shared /= *part;
    folder = shared;
  }
  return folder;
}

// The message of a file whose name stands above it.
std::string_view without_name(std::string_view error, const fs::path& source) {
  const std::string name = source.native() + ": ";
  if (error.starts_with(name)) error.remove_prefix(name.size());
  return error;
}

void add_file(std::string& page, const FileReport& report, const fs::path& folder, bool plan) {
  page += fmt::format(
      "<details{}><summary>{} <code>{}</code> <span class=\"dim\">{}</span></summary>\n",
      report.ok ? "" : " open", state_of(report, plan),
      html((folder.empty() ? report.source : report.source.lexically_relative(folder)).native()),
      report.ok ? came_from(report) : "");
  if (!report.ok) {
    page +=
        fmt::format("<p class=\"bad\">{}</p>\n", html(without_name(report.error, report.source)));
  }
  page += "<dl>\n";
  add_row(page, "source", report.source.native());
  if (report.ok && report.skipped.empty()) add_row(page, "result", report.target.native());
  add_row(page, "why", report.skipped);
  if (report.backup) add_row(page, "original", report.backup->native());
  if (report.ok) {
    add_row(page, "came from", fmt::format("{} ({})", came_from(report), report.container));
    add_row(page, "is", fmt::format("{} {}", report.type, report.arch));
    add_row(page, "uuid", report.uuid);
    add_row(page, "tensors",
            fmt::format("{}, {}", report.tensors, format_bytes(report.tensor_bytes)));
    add_row(page, "resumable", report.resumable ? "yes" : "no");
  }
  add_row(page, "source SHA-256", report.source_sha256);
  page += "</dl>\n";
  for (const StepReport& step : report.steps) {
    page += fmt::format("<p>{}</p>\n", html(step.step));
    if (step.changed.empty()) continue;
    page += "<ul>\n";
    for (const std::string& change : step.changed)
      page += fmt::format("<li>{}</li>\n", html(change));
    page += "</ul>\n";
  }
  if (!report.unmapped.empty()) {
    page += "<p>Kept under <code>reprise/unmapped</code>:</p><ul>\n";
    for (const std::string& key : report.unmapped)
      page += fmt::format("<li><code>{}</code></li>\n", html(key));
    page += "</ul>\n";
  }
  page += "</details>\n";
}

// What the files were, one line a kind.
void add_kinds(std::string& page, std::span<const FileReport> reports) {
  struct Kind {
    std::size_t files = 0, resumable = 0, tensors = 0;
    std::uint64_t bytes = 0;
  };
  std::map<std::string, Kind> kinds;
  for (const FileReport& report : reports) {
    if (!report.ok || !report.skipped.empty()) continue;
    Kind& kind = kinds[fmt::format("{}, {}", came_from(report), report.container)];
    ++kind.files;
    kind.resumable += report.resumable ? 1 : 0;
    kind.tensors += report.tensors;
    kind.bytes += report.tensor_bytes;
  }
  if (kinds.empty()) return;
  page +=
      "<table><tr><th>came from<th class=\"n\">files<th class=\"n\">resumable"
      "<th class=\"n wide\">tensors<th class=\"n\">bytes</tr>\n";
  for (const auto& [name, kind] : kinds) {
    page += fmt::format(
        "<tr><td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n wide\">{}<td "
        "class=\"n\">{}</tr>\n",
        html(name), kind.files, kind.resumable, kind.tensors, format_bytes(kind.bytes));
  }
  page += "</table>\n";
}

}  // namespace

Json report_json(std::span<const FileReport> reports, bool plan) {
  const Counts counts = count(reports);
  Json files = Json::array();
  for (const FileReport& report : reports) files.push_back(report.json());
  return {{"files", files},
          {"summary",
           {{"plan", plan},
            {"files", reports.size()},
            {plan ? "would_migrate" : "migrated", counts.migrated},
            {"already_done", counts.done_before},
            {"skipped", counts.skipped},
            {"failed", counts.failed}}}};
}

std::string report_page(std::span<const FileReport> reports, bool plan) {
  const Counts counts = count(reports);
  std::string page = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">\n<title>{0}</title>\n<style>{1}</"
      "style>\n<h1>{0}</h1>\n",
      plan ? "Migration plan" : "Migration report", kStyle);
  page += fmt::format(
      "<p>{} files: {} {}, {} done before, {} with nothing to do, <span class=\"{}\">{} "
      "failed</span>.</p>\n",
      reports.size(), counts.migrated, plan ? "would be migrated" : "migrated and verified",
      counts.done_before, counts.skipped, counts.failed > 0 ? "bad" : "ok", counts.failed);
  add_kinds(page, reports);
  const fs::path folder = common_folder(reports);
  if (!folder.empty()) page += fmt::format("<h2>Files below {}</h2>\n", html(folder.native()));
  // Failures first: they are what somebody has to look at.
  for (const bool ok : {false, true}) {
    for (const FileReport& report : reports) {
      if (report.ok == ok) add_file(page, report, folder, plan);
    }
  }
  return page + "</html>\n";
}

void write_report(const std::filesystem::path& file, std::span<const FileReport> reports,
                  bool plan) {
  if (file.extension() == ".json") {
    write_text(file, dump_json(report_json(reports, plan), 2) + "\n");
  } else if (file.extension() == ".html") {
    write_text(file, report_page(reports, plan));
  } else {
    fail(Code::kUsage, "--report {}: .json or .html was expected", file.native());
  }
}

}  // namespace reprise::migrate
