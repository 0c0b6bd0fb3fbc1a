#include "train/memory_report.h"

#include "ckpt/base/progress.h"
#include "engine/device/device.h"
#include "engine/device/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace reprise::train {

Json memory_report(c10::Device device) {
  const engine::MemoryUse peak = engine::memory_peak();
  const engine::MemoryUse highest = engine::memory_highest();
  Json parts = Json::object();
  Json alone = Json::object();
  for (std::size_t i = 0; i < engine::kMemoryParts; ++i) {
    parts[engine::to_string(static_cast<engine::MemoryPart>(i))] = peak.parts[i];
    alone[engine::to_string(static_cast<engine::MemoryPart>(i))] = highest.parts[i];
  }
  Json report = {{"peak_bytes", peak.total}, {"parts", parts}, {"highest", alone}};
  if (device.is_cpu()) report["resident_bytes"] = engine::peak_memory_mib(device) << 20;
  return report;
}

void log_memory(RunLog& log, const Json& report) {
  std::vector<std::pair<std::uint64_t, std::string>> parts;
  for (const auto& [name, bytes] : report["parts"].items()) {
    parts.emplace_back(bytes.get<std::uint64_t>(), name);
  }
  std::ranges::sort(parts, std::greater());
  std::string text;
  for (const auto& [bytes, name] : parts) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, format_bytes(bytes));
  }
  text = fmt::format("memory: tensors took {} at the peak: {}",
                     format_bytes(report["peak_bytes"].get<std::uint64_t>()), text);
  if (const auto resident = report.find("resident_bytes"); resident != report.end()) {
    text += fmt::format(
        "; the process took {} in all, with its code, the batches that are loaded ahead and the "
        "copy that is saved",
        format_bytes(resident->get<std::uint64_t>()));
  }
  log.info(text);
}

}  // namespace reprise::train
