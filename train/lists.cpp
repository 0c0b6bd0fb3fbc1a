#include "train/lists.h"

#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "engine/data/open.h"
#include "engine/models/network.h"
#include "engine/optim/optimizer.h"
#include "engine/schedules/schedule.h"
#include "train/mode.h"

namespace reprise::train {
namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

Entries entries_of(const std::string& what) {
  Entries out;
  if (what == "arch") {
    for (const auto& arch : engine::architectures()) out.emplace_back(arch.name, arch.about);
  } else if (what == "optimizer") {
    out = engine::optimizers();
  } else if (what == "schedule") {
    out = engine::schedules();
  } else if (what == "data") {
    for (const auto& source : engine::data_sources()) out.emplace_back(source.spec, source.about);
  } else if (what == "mode") {
    out = modes();
  } else {
    fail(Code::kInternal, "no list of {}", what);
  }
  return out;
}

}  // namespace

const std::vector<std::string>& list_names() {
  static const std::vector<std::string> names = {"arch", "optimizer", "schedule", "data", "mode"};
  return names;
}

void print_list(const std::string& what, Io& io) {
  const Entries entries = entries_of(what);
  if (io.json) {
    Json list = Json::array();
    for (const auto& [name, about] : entries) list.push_back({{"name", name}, {"about", about}});
    io.print_json({{what, list}});
    return;
  }
  std::size_t widest = 0;
  for (const auto& [name, about] : entries) widest = std::max(widest, name.size());
  for (const auto& [name, about] : entries) io.print("{:<{}}  {}\n", name, widest, about);
}

}  // namespace reprise::train
