#include "eval/eval_table.h"

#include "ckpt/base/file.h"

#include <fmt/format.h>

namespace reprise::eval {

int append_to_table(const std::filesystem::path& path, const EvalKey& key,
                    const engine::Metrics& metrics) {
  std::string text = "uuid\tdata\tsettings\tepoch\tupdate\tsamples\tmetric\tvalue\n";
  if (std::filesystem::exists(path)) text = read_text(path);
  if (!text.empty() && text.back() != '\n') text += '\n';
  int contradictions = 0;
  for (const auto& [name, value] : metrics) {
    const std::string start =
        fmt::format("\n{}\t{}\t{}\t{}\t{}\t{}\t{}\t", key.uuid, key.data_digest, key.settings,
                    key.epoch, key.update, key.samples, name);
    const std::string row = fmt::format("{}{}\n", start, value);
    if (text.find(row) != std::string::npos) continue;
    if (text.find(start) != std::string::npos) ++contradictions;
    text += std::string_view(row).substr(1);
  }
  // Replaced as a whole: several `eval` on one run leave a table that is whole, each time.
  write_text(path, text);
  return contradictions;
}

}  // namespace reprise::eval
