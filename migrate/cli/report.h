// What a batch did, for programs (JSON) and for people (a page).
#pragma once

#include "migrate/cli/migrate_file.h"

#include <filesystem>
#include <span>
#include <string>

namespace reprise::migrate {

// {"files": [...], "summary": {...}}
Json report_json(std::span<const FileReport> reports, bool plan);

// One self-contained HTML page, readable on a phone, in dark mode and on paper. Every
// text that came out of a file is escaped.
std::string report_page(std::span<const FileReport> reports, bool plan);

// Writes either by suffix, .json or .html, durably. Errors: kUsage for another suffix; kIo.
void write_report(const std::filesystem::path& file, std::span<const FileReport> reports,
                  bool plan);

}  // namespace reprise::migrate
