// The sections of the page that are about facts: environment, ledgers, differences.
#include "repro/fingerprint/difference_text.h"
#include "repro/fingerprint/fingerprint.h"
#include "repro/report/html.h"
#include "repro/report/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace reprise::report {
namespace {

constexpr std::size_t kMostFields = 2000;
constexpr std::size_t kMostDifferences = 300;
constexpr std::size_t kMostTensors = 6;
constexpr std::size_t kLongest = 600;  // of a value

std::string text_of(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return html(value.get_ref<const std::string&>(), kLongest);
  // A command line or a list of names reads better without JSON's marks.
  const auto is_text = [](const Json& item) { return item.is_string(); };
  if (!value.is_array() || value.empty() || !std::ranges::all_of(value, is_text))
    return html(dump_json(value), kLongest);
  std::string words;
  for (const Json& item : value) {
    words += (words.empty() ? "" : " ") + item.get_ref<const std::string&>();
    if (words.size() > kLongest) break;
  }
  return html(words, kLongest);
}

// Of a main field: bytes are counted for programs.
std::string cell_of(std::string_view name, const Json& value) {
  if (name.ends_with("_bytes") && value.is_number_unsigned()) {
    return fmt::format("{:.1f} GiB", value.get<double>() / static_cast<double>(1u << 30));
  }
  return text_of(value);
}

// A dotted name that may be broken behind its dots.
std::string field_name(std::string_view name) {
  std::string out;
  for (const char c : html(name)) {
    out += c;
    if (c == '.') out += "<wbr>";
  }
  return out;
}

struct Field {
  std::string name;
  const Json* value;
};

// The leaves of a tree by dotted name. Lists are leaves.
void flatten(const Json& tree, const std::string& name, std::vector<Field>& out) {
  if (out.size() >= kMostFields) return;
  if (!tree.is_object() || tree.empty()) {
    out.push_back({name, &tree});
    return;
  }
  for (const auto& [key, value] : tree.items())
    flatten(value, name.empty() ? key : name + "." + key, out);
}

// What most readers look for; the rest unfolds.
constexpr std::array<std::string_view, 22> kMain = {"code.repository",
                                                    "code.commit",
                                                    "code.branch",
                                                    "code.dirty",
                                                    "code.tree",
                                                    "seeds.seed",
                                                    "hardware.cpu.model",
                                                    "hardware.cpu.logical",
                                                    "hardware.memory_bytes",
                                                    "hardware.gpus",
                                                    "hardware.driver",
                                                    "software.os",
                                                    "software.kernel",
                                                    "software.compiler",
                                                    "software.reprise",
                                                    "software.libtorch",
                                                    "software.cuda",
                                                    "software.cudnn",
                                                    "software.nccl",
                                                    "software.threads",
                                                    "software.python.version",
                                                    "job.world_size"};

std::string table_of(const std::vector<Field>& fields) {
  std::string out = "<div class=\"wide\"><table><tbody>";
  for (const Field& field : fields) {
    out += "<tr><th scope=\"row\">" + field_name(field.name) + "</th><td>" + text_of(*field.value) +
           "</td></tr>";
  }
  return out + "</tbody></table></div>";
}

// The main fields of all runs side by side.
std::string main_fields(const std::vector<RunRecord>& runs, const std::vector<Json>& trees) {
  std::string out = "<div class=\"wide\"><table>";
  if (runs.size() > 1) {
    out += "<thead><tr><th></th>";
    for (const RunRecord& run : runs) out += "<th>" + html(run.label) + "</th>";
    out += "</tr></thead>";
  }
  out += "<tbody>";
  for (const std::string_view name : kMain) {
    std::string cells;
    bool known = false;
    for (const Json& tree : trees) {
      std::vector<Field> all;
      flatten(tree, "", all);
      const auto at = std::ranges::find(all, name, &Field::name);
      known = known || at != all.end();
      cells += "<td>" + (at == all.end() ? "-" : cell_of(name, *at->value)) + "</td>";
    }
    if (known) out += "<tr><th scope=\"row\">" + field_name(name) + "</th>" + cells + "</tr>";
  }
  return out + "</tbody></table></div>";
}

std::string findings_of(const Health& health) {
  std::string out;
  for (const std::string& problem : health.problems)
    out += "<p class=\"bad\">" + html(problem, 600) + "</p>";
  return out;
}

std::string differing_fields(const Comparison& comparison, const std::vector<RunRecord>& runs) {
  if (comparison.fields.empty()) {
    return "<p class=\"soft\">No difference between fingerprints is known.</p>";
  }
  std::string out = fmt::format(
      "<div class=\"wide\"><table><thead><tr><th>field</th><th>{} (A)</th><th>{} (B)</th>"
      "<th>changes bits</th></tr></thead><tbody>",
      html(runs[comparison.a].label), html(runs[comparison.b].label));
  for (std::size_t i = 0; i < comparison.fields.size() && i < kMostDifferences; ++i) {
    const fingerprint::Difference& one = comparison.fields[i];
    const auto text = fingerprint::text_of(one.field, one.a, one.b);
    out += "<tr><th scope=\"row\">" + field_name(one.field) + "</th><td>" + html(text.a, kLongest) +
           "</td><td>" + html(text.b, kLongest) + "</td><td>" +
           html(fingerprint::to_string(one.influence)) + "</td></tr>";
  }
  out += "</tbody></table></div>";
  if (comparison.fields.size() > kMostDifferences) {
    out += fmt::format("<p class=\"soft\">and {} more; `repro diff` lists all.</p>",
                       comparison.fields.size() - kMostDifferences);
  }
  return out;
}

std::string parting_of(const Comparison& comparison) {
  if (!comparison.ledgers) {
    return "<p class=\"soft\">The ledgers were not compared: " + html(comparison.why_not, 600) +
           "</p>";
  }
  std::string out =
      fmt::format("<p class=\"{}\"><b>{}</b></p>", comparison.ledgers->same ? "good" : "bad",
                  html(audit::summary(*comparison.ledgers), 600));
  if (comparison.explanations.empty()) return out;
  if (const auto& tensors = comparison.ledgers->tensors; tensors.update != 0) {
    const bool all = tensors.names.size() == tensors.recorded;
    out += fmt::format("<p>Of the {} tensors that both recorded at update {}, {} differ{}",
                       tensors.recorded, tensors.update,
                       all ? "all" : std::to_string(tensors.names.size()),
                       all || tensors.names.empty() ? "" : ": ");
    for (std::size_t i = 0; !all && i < tensors.names.size() && i < kMostTensors; ++i)
      out += (i > 0 ? ", <code>" : "<code>") + html(tensors.names[i]) + "</code>";
    out += !all && tensors.names.size() > kMostTensors ? " and more.</p>" : ".</p>";
  }
  out += "<p>Likely because:</p><ol>";
  for (std::size_t i = 0; i < comparison.explanations.size() && i < 5; ++i) {
    const audit::Explanation& item = comparison.explanations[i];
    out += "<li>" + html(item.because, 600);
    if (!item.field.empty()) {
      const auto text = fingerprint::text_of(item.field, item.a, item.b);
      out += "<br><code>" + html(item.field) + "</code>: " + html(text.a, kLongest) + " in A, " +
             html(text.b, kLongest) + " in B";
    }
    out += "</li>";
  }
  return out + "</ol>";
}

}  // namespace

std::string environment_section(const PageContent& content) {
  std::string out = "<section id=\"environment\"><h2>Environment</h2>";
  std::vector<Json> trees;
  for (const RunRecord& run : content.runs) {
    trees.push_back(run.fingerprint.is_object() ? fingerprint::fields(run.fingerprint)
                                                : Json::object());
  }
  out += main_fields(content.runs, trees);
  for (std::size_t i = 0; i < trees.size(); ++i) {
    const std::string name = html(content.runs[i].label);
    if (trees[i].empty()) {
      out += "<p class=\"soft\">" + name + " has no fingerprint.</p>";
      continue;
    }
    std::vector<Field> all;
    flatten(trees[i], "", all);
    out += fmt::format("<details><summary>{}: all {} fields</summary>", name, all.size()) +
           table_of(all) + "</details>";
  }
  return out + "</section>";
}

std::string ledger_section(const PageContent& content) {
  std::string out =
      "<section id=\"ledger\"><h2>Ledger</h2><div class=\"wide\"><table><thead><tr><th>run</th>"
      "<th>health</th><th class=\"n\">updates</th><th class=\"n\">tensor records</th>"
      "<th>checkpoints</th><th>chain</th></tr></thead><tbody>";
  for (std::size_t i = 0; i < content.runs.size(); ++i) {
    const Health& health = content.health[i];
    const std::string verdict = !health.problems.empty() ? findings_of(health)
                                : health.has_ledger      ? "<span class=\"good\">whole</span>"
                                                         : "<span class=\"soft\">none kept</span>";
    const std::string saves =
        health.whole_checkpoints
            ? fmt::format("{} of {} whole", *health.whole_checkpoints, health.checkpoints)
            : "not read";
    out += fmt::format(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
        "<td>{}</td><td><code>{}</code></td></tr>",
        html(content.runs[i].label), verdict, grouped(health.updates),
        grouped(health.tensor_records), saves,
        health.chain.empty() ? "-" : html(health.chain.substr(0, 16)) + "...");
  }
  return out + "</tbody></table></div></section>";
}

std::string differences_section(const PageContent& content) {
  if (content.comparisons.empty()) return {};
  std::string out = "<section id=\"differences\"><h2>Differences</h2>";
  for (const Comparison& comparison : content.comparisons) {
    out += fmt::format("<h3>{} (A) and {} (B)</h3>", html(content.runs[comparison.a].label),
                       html(content.runs[comparison.b].label));
    out += parting_of(comparison) + differing_fields(comparison, content.runs);
  }
  return out + "</section>";
}

}  // namespace reprise::report
