#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/base/progress.h"
#include "ckpt/cli/commands.h"
#include "ckpt/cli/table.h"
#include "ckpt/container/tensor_names.h"
#include "ckpt/store/load.h"
#include "ckpt/store/metrics.h"

#include <cmath>
#include <memory>

namespace reprise::cli {
namespace {

struct ShowOptions {
  std::string checkpoint;
  bool config = false;
};

struct Totals {
  std::size_t tensors = 0;
  std::uint64_t bytes = 0;
};

Totals totals_of(const Checkpoint& checkpoint) {
  Totals totals;
  for (const auto& named : container::name_tensors(checkpoint.to_document())) {
    ++totals.tensors;
    totals.bytes += named.tensor.size_bytes();
  }
  return totals;
}

template <typename T>
Json text_or_null(const std::optional<T>& value) {
  if constexpr (std::is_same_v<T, Uuid>) {
    return value ? Json(value->text()) : Json(nullptr);
  } else {
    return value ? Json(*value) : Json(nullptr);
  }
}

Json to_json(const store::LoadedCheckpoint& loaded) {
  const Checkpoint& c = loaded.checkpoint;
  const Totals totals = totals_of(c);
  const auto resume = c.resume_point();
  Json parents = Json::array();
  for (const Parent& parent : c.parents) {
    parents.push_back({{"uuid", parent.uuid.text()}, {"relation", to_string(parent.relation)}});
  }
  return {{"path", loaded.path.native()},
          {"container", loaded.container},
          {"schema", loaded.dialect.empty() ? Json(loaded.schema) : Json(nullptr)},
          {"dialect", loaded.dialect.empty() ? Json(nullptr) : Json(loaded.dialect)},
          {"type", to_string(c.type)},
          {"epoch", c.epoch_known ? Json(c.epoch) : Json(nullptr)},
          {"uuid", c.uuid.text()},
          {"uuid_backbone", text_or_null(c.uuid_backbone)},
          {"arch", c.arch.empty() ? Json(nullptr) : Json(c.arch)},
          {"arch_head", text_or_null(c.arch_head)},
          {"resumable", c.resumable()},
          {"tensors", totals.tensors},
          {"tensor_bytes", totals.bytes},
          {"metrics", c.metrics},
          {"parents", std::move(parents)},
          {"run", text_or_null(c.run)},
          {"update", resume       ? Json(resume->update)
                     : c.progress ? Json(c.progress->update)
                                  : Json(nullptr)}};
}

std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.6g}", value) : "nan";
}

void print_metrics(Io& io, const Checkpoint& checkpoint) {
  const store::MetricsState state = store::MetricsState::from(checkpoint.metrics);
  if (state.metrics().empty()) return;
  using Align = Table::Align;
  Table table({{"metric"},
               {"mode"},
               {"last", Align::kRight},
               {"best", Align::kRight},
               {"values", Align::kRight},
               {""}});
  for (const auto& [name, metric] : state.metrics()) {
    table.add({printable(name, 40), std::string(to_string(metric.mode)),
               metric.values.empty() ? "-" : number(metric.values.back()),
               metric.best ? number(*metric.best) : "-", std::to_string(metric.values.size()),
               metric.use_for_is_best ? "decides which is best" : ""});
  }
  io.print("\n");
  table.print(io);
}

void print_text(Io& io, const store::LoadedCheckpoint& loaded) {
  const Checkpoint& c = loaded.checkpoint;
  const auto field = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) io.print("{}  {}\n", io.bold(fmt::format("{:<13}", name)), value);
  };
  const Totals totals = totals_of(c);
  field("file", printable(loaded.path.native(), 4096));
  field("format",
        loaded.container + (loaded.dialect.empty() ? fmt::format(", schema {}", loaded.schema)
                                                   : ", dialect " + loaded.dialect));
  field("type", std::string(to_string(c.type)));
  field("arch", c.arch.empty() ? "unknown" : printable(c.arch));
  field("head", c.arch_head ? printable(*c.arch_head) : "");
  field("epoch", c.epoch_known ? std::to_string(c.epoch) : "unknown");
  if (const auto resume = c.progress ? c.progress : c.resume_point()) {
    field("update",
          fmt::format("{}{}", format_count(resume->update),
                      resume->batch_cursor > 0
                          ? fmt::format(", {} batches into epoch {}",
                                        format_count(resume->batch_cursor), resume->epoch + 1)
                          : ""));
  }
  field("uuid", c.uuid.text());
  field("backbone", c.uuid_backbone ? c.uuid_backbone->text() : "");
  field("run", c.run ? c.run->text() : "");
  for (const Parent& parent : c.parents) {
    field(to_string(parent.relation), parent.uuid.text());
  }
  for (const auto& [name, dict] : c.state_dicts()) {
    if (dict->empty()) continue;
    field(name, fmt::format("{} tensors, {}", format_count(dict->size()),
                            format_bytes(dict->size_bytes())));
  }
  if (!c.ema.empty()) {
    field("ema", fmt::format("{} tensors, {}", format_count(c.ema.size()),
                             format_bytes(c.ema.size_bytes())));
  }
  field("in all",
        fmt::format("{} tensors, {}", format_count(totals.tensors), format_bytes(totals.bytes)));
  field("resumable", c.resumable() ? "yes" : "no: train --load-from takes its weights");
  print_metrics(io, c);
}

int run(const ShowOptions& options, Io& io) {
  // Nothing of the tensors is shown, so none of their bytes is read.
  const store::LoadedCheckpoint loaded =
      store::open_checkpoint(options.checkpoint, {.verify = false, .jobs = io.jobs});
  if (options.config) {
    io.print_json(loaded.checkpoint.config);
  } else if (io.json) {
    io.print_json(to_json(loaded));
  } else {
    print_text(io, loaded);
  }
  return 0;
}

}  // namespace

void add_show(CommandLine& app) {
  auto options = std::make_shared<ShowOptions>();
  Command& command = app.command("show", "Say what a checkpoint is");
  command.about("Reads the metadata, and no tensor: `ckpt verify` checks the bytes.");
  command.positional("CKPT", options->checkpoint, "file, or reference such as runs/a/<best>");
  command.flag("--config", options->config, "print its configuration (JSON) and nothing else");
  command.example("ckpt show 'runs/road/20261121-100000/<best>'",
                  "says what the best checkpoint of that run is");
  command.exit_code(14, "incomplete: the writer never committed");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::cli
