// The report: one HTML page that needs nothing else, neither network nor scripts.
#pragma once

#include "ckpt/store/lineage.h"
#include "repro/report/health.h"
#include "repro/report/run_record.h"

#include <string>
#include <vector>

namespace reprise::report {

struct PageContent {
  std::vector<RunRecord> runs;
  std::vector<Health> health;           // one a run
  std::vector<Comparison> comparisons;  // each run with the first
  store::LineageGraph lineage;
  std::string made;  // when, as text
};

// Summary, curves over samples seen, environment, lineage, ledgers, differences. All that came
// from files is escaped; a policy in the page forbids it to load anything.
std::string page(const PageContent& content);

// The sections of the page, in their order; each with its heading.
std::string summary_section(const PageContent& content);
std::string curves_section(const PageContent& content);
std::string environment_section(const PageContent& content);
std::string lineage_section(const PageContent& content);
std::string ledger_section(const PageContent& content);
std::string differences_section(const PageContent& content);

}  // namespace reprise::report
