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
  return {{"peak_bytes", peak.total},
          {"parts", parts},
          {"highest", alone},
          {"resident_bytes", engine::peak_memory_mib(device) << 20}};
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
  log.info(fmt::format(
      "memory: tensors took {} at the peak: {}; the process took {} in all, with its code, the "
      "batches that are loaded ahead and the copy that is saved",
      format_bytes(report["peak_bytes"].get<std::uint64_t>()), text,
      format_bytes(report["resident_bytes"].get<std::uint64_t>())));
}

}  // namespace reprise::train
