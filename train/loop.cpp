#include "train/loop.h"

#include "ckpt/base/error.h"
#include "ckpt/base/progress.h"
#include "engine/data/loader.h"
#include "engine/determinism/determinism.h"
#include "engine/determinism/op_trace.h"
#include "engine/device/device.h"
#include "engine/device/pinned_memory.h"
#include "engine/optim/ema.h"
#include "engine/optim/gradient.h"
#include "engine/shards/sharded_step.h"
#include "train/divergence.h"
#include "train/interval.h"
#include "train/mode.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <span>

namespace reprise::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::uint64_t number(std::int64_t value) { return static_cast<std::uint64_t>(value); }

at::ScalarType compute_type(const experiment::Config& config) {
  if (config.amp == "bf16") return at::kBFloat16;
  return config.amp == "fp16" ? at::kHalf : at::kFloat;
}

// In the place of a signal's number.
constexpr std::uint64_t kLate = 1000;

class Loop {
 public:
  explicit Loop(const LoopParts& parts)
      : p_(parts),
        c_(parts.config),
        plan_(parts.plan),
        sampler_(sampler_from(c_, parts.facts, plan_, parts.learner.progress)),
        step_({.plan = plan_.shards,
               .seed = number(c_.seed),
               .extra_elements = parts.mode.needs().extra_elements,
               .second_moments = parts.mode.needs().second_moments,
               .activation_checkpointing = c_.activation_checkpointing,
               .compute_type = compute_type(parts.config)},
              parts.mode.layout(), parts.device, parts.pool, parts.communicator),
        interval_(parts.learner.progress.interval),
        divergence_(c_.max_loss, parts.learner.scaler.has_value()) {}

  LoopResult run();

 private:
  std::unique_ptr<engine::Loader> make_loader() const;

  LoopResult train();
  void update(const engine::Batch& batch);
  // An update whose float16 gradients overflowed: all but data and progress stays as it was.
  void leave_out();
  void log_interval(double data_waited_s);
  // After an update: evaluation and saves that are due. Returns whether to stop early.
  bool between_updates();
  bool evaluation_due(bool epoch_ended) const;
  bool evaluate();
  void save(bool best);
  std::uint64_t largest(std::uint64_t mine);
  void refuse_divergence(double loss, double norm);
  void save_state_before_update();
  // For work between updates, or that reads data or computes: where it fails, the state is that of
  // the last whole update, and is saved before the error goes on.
  template <typename Work>
  decltype(auto) keeping_state(const Work& work);
  void keep_state();
  Checkpoint checkpoint() const {
    return to_checkpoint(p_.learner, p_.mode, p_.frame,
                         p_.ledger ? std::optional(p_.ledger->position()) : std::nullopt);
  }
  std::uint64_t update_in_epoch() const {
    return p_.learner.progress.batch_cursor / plan_.shards.accumulate;
  }

  const LoopParts& p_;
  const experiment::Config& c_;
  const RunPlan& plan_;
  engine::TrainSampler sampler_;
  engine::ShardedStep step_;

  Interval interval_;
  Divergence divergence_;
  std::vector<at::Tensor> buffers_before_;  // BatchNorm's statistics before the update under way
  bool best_ = false;
};

std::unique_ptr<engine::Loader> Loop::make_loader() const {
  // Runs ahead of training on the loader's threads, so it has a sampler of its own.
  engine::BatchPlan plan =
      [sampler = sampler_, &mode = p_.mode, update = p_.learner.progress.update,
       target = plan_.updates,
       local = plan_.shards.local_samples()]() mutable -> std::optional<engine::BatchRequest> {
    if (update == target) return std::nullopt;
    const engine::TrainSampler::Step step = sampler.next();
    engine::BatchRequest request;
    request.epoch = step.epoch;
    request.after = step.after;
    request.side = mode.side(update++);
    const auto first = step.ids.begin() + static_cast<std::ptrdiff_t>(local.first);
    request.ids.assign(first, first + static_cast<std::ptrdiff_t>(local.count));
    return request;
  };
  engine::LoaderOptions options;
  options.workers = static_cast<unsigned>(c_.workers);
  options.prefetch = static_cast<unsigned>(c_.prefetch);
  options.seed = number(c_.seed);
  options.largest_side = p_.mode.largest_side();
  options.allocate = engine::pinned_memory(p_.device);
  return std::make_unique<engine::Loader>(*p_.data.train, p_.mode.views(*p_.data.train),
                                          plan_.shards.local_samples().count, std::move(plan),
                                          options);
}

template <typename Work>
decltype(auto) Loop::keeping_state(const Work& work) {
  try {
    return work();
  } catch (const std::exception&) {
    keep_state();
    throw;
  }
}

void Loop::keep_state() {
  // Of a series of losses over --max-loss, the state before it is the one to keep.
  if (p_.saver == nullptr || interval_.updates_here() == 0 || divergence_.under_way()) return;
  const std::uint64_t update = p_.learner.progress.update;
  try {
    p_.saver->save_alone(checkpoint());
    p_.log->warn(fmt::format("the state after update {} is saved, from which --resume-from goes on",
                             update));
  } catch (const std::exception& error) {
    // The error that is under way is the one to end with.
    p_.log->warn(fmt::format("the state after update {} is not saved: {}", update, error.what()));
  }
}

// Into the rolling file; of the update under way only BatchNorm's statistics are there by now.
void Loop::save_state_before_update() {
  if (p_.saver == nullptr) return;
  const auto& buffers = p_.learner.weights.buffers();
  std::vector<at::Tensor> after;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    after.push_back(buffers[i].clone());
    buffers[i].copy_(buffers_before_[i]);
  }
  p_.saver->save_rolling_now(checkpoint());
  for (std::size_t i = 0; i < buffers.size(); ++i) buffers[i].copy_(after[i]);
}

// Before the first update of a series is learnt from, the state it came from is saved.
void Loop::refuse_divergence(double loss, double norm) {
  const Verdict verdict = divergence_.judge(loss, norm);
  if (verdict == Verdict::kFine) return;
  const std::uint64_t update = p_.learner.progress.update + 1;
  if (divergence_.just_began()) {
    save_state_before_update();
    if (p_.log != nullptr) {
      p_.log->warn(fmt::format("update {}: loss {}, gradient norm {}; the state before it is saved",
                               update, std::isnan(loss) ? std::abs(loss) : loss,
                               std::abs(norm)));  // -nan is nan
    }
  }
  if (verdict == Verdict::kSuspect) return;
  // A launcher ends the others when one has left: the first process has to have saved by then.
  p_.communicator.barrier();
  divergence_.stop(update, loss, norm);
}

void Loop::update(const engine::Batch& batch) {
  Learner& learner = p_.learner;
  const std::uint64_t update = learner.progress.update;
  {
    // What the first op takes: --selfcheck tells data that differ from ops that do.
    engine::LeafScope traced(update, plan_.shards.first_leaf());
    for (const std::span<const float> view : batch.views) {
      traced.note("loading the batch", std::as_bytes(view));
    }
  }
  const auto& buffers = learner.weights.buffers();
  buffers_before_.resize(buffers.size());
  for (std::size_t i = 0; i < buffers.size(); ++i) buffers_before_[i] = buffers[i].clone();

  if (learner.scaler) step_.set_loss_scale(learner.scaler->scale());
  const engine::StepResult& result = keeping_state([&]() -> const engine::StepResult& {
    return step_.run(learner.weights, update,
                     p_.mode.shard_function(learner, batch, p_.device, update));
  });
  const double norm = engine::gradient_norm(result.gradient, p_.pool);
  refuse_divergence(result.loss, norm);
  engine::StepOptions options;
  options.lr = plan_.learning_rate.at(update);
  options.weight_decay = plan_.weight_decay.at(update);
  options.gradient_scale = engine::clip_scale(norm, c_.clip_grad);
  p_.mode.adjust(options, update);
  const bool overflowed = learner.scaler && !std::isfinite(norm);
  if (overflowed) {
    leave_out();
  } else {
    learner.optimizer->step(learner.weights, result.gradient, options, p_.pool);
    p_.mode.after_step(learner, result, update, p_.pool);
    if (learner.ema) engine::update_average(*learner.ema, learner.weights, c_.ema, p_.pool);
  }
  if (learner.scaler) learner.scaler->update(overflowed);

  const engine::TrainSampler::Step step = sampler_.next();
  TrainingProgress& progress = learner.progress;
  progress.update += 1;
  progress.samples_seen += plan_.shards.samples_per_update();
  const bool epoch_ended =
      step.after.position >= plan_.updates_per_epoch * plan_.shards.samples_per_update();
  progress.epoch = step.epoch + (epoch_ended ? 1 : 0);
  progress.batch_cursor = epoch_ended ? 0 : step.after.position / plan_.shards.batch;
  if (p_.ledger != nullptr) {
    p_.ledger->append(learner, p_.mode, {step.ids, step.epoch, result.loss, result.gradient});
  }
  interval_.add(result.loss, overflowed ? 0 : norm, options.lr);
}

void Loop::leave_out() {
  const auto& buffers = p_.learner.weights.buffers();
  for (std::size_t i = 0; i < buffers.size(); ++i) buffers[i].copy_(buffers_before_[i]);
  if (p_.log != nullptr) {
    p_.log->info(
        fmt::format("update {}: float16 gradients overflow at a loss scale of {}; left out",
                    p_.learner.progress.update + 1, p_.learner.scaler->scale()));
  }
}

void Loop::log_interval(double data_waited_s) {
  const TrainingProgress& progress = p_.learner.progress;
  const bool epoch_ended = progress.batch_cursor == 0;
  const bool due = progress.update % number(c_.log_every) == 0 || epoch_ended;
  if (!due && progress.update != plan_.updates) return;
  IntervalRecord record;
  record.epoch = epoch_ended ? progress.epoch : progress.epoch + 1;
  record.update_in_epoch = epoch_ended ? plan_.updates_per_epoch : update_in_epoch();
  record.updates_per_epoch = plan_.updates_per_epoch;
  record.update = progress.update;
  record.samples_seen = progress.samples_seen;
  record.memory_mib = largest(engine::peak_memory_mib(p_.device));
  interval_.close(due ? Row::kDue : Row::kAtTheEnd, plan_.updates - progress.update, data_waited_s,
                  record);
  if (p_.log != nullptr) p_.log->interval(record);
}

bool Loop::evaluation_due(bool epoch_ended) const {
  if (!p_.data.validation) return false;
  const TrainingProgress& progress = p_.learner.progress;
  if (progress.update == plan_.updates) return true;
  if (c_.val_every_updates > 0 && progress.update % number(c_.val_every_updates) == 0) return true;
  return epoch_ended && progress.epoch >= number(c_.val_begin) &&
         (progress.epoch - number(c_.val_begin)) % number(c_.val_every) == 0;
}

// Reads the weights and nothing else of training. Returns whether --patience has run out.
bool Loop::evaluate() {
  const engine::Metrics metrics = keeping_state([&] {
    return p_.mode.measure(p_.learner, {p_.data, p_.pool, p_.communicator, p_.io});
  });
  store::MetricsState& state = p_.learner.metrics;
  const TrainingProgress& progress = p_.learner.progress;
  for (const auto& [name, value] : metrics) {
    const auto mode = engine::larger_is_better(name.substr(name.rfind("val/")))
                          ? store::MetricMode::kMax
                          : store::MetricMode::kMin;
    store::Metric* metric = state.find(name);
    if (metric == nullptr) metric = &state.add(name, mode);
    metric->record(value, progress.update);
    if (metric->use_for_is_best) best_ = metric->last_is_best();
  }
  if (p_.log != nullptr) {
    p_.log->evaluation({progress.epoch, progress.update, progress.samples_seen,
                        p_.data.validation->size(), metrics});
  }
  const auto* major = state.major();
  return c_.patience > 0 && major != nullptr && major->second.plateau();
}

// Every rank comes here after the same updates: what is decided on is the same on all.
void Loop::save(bool best) {
  if (p_.saver != nullptr) keeping_state([&] { p_.saver->save(checkpoint(), best); });
  if (p_.save_share != nullptr) p_.save_share->save(checkpoint(), best);
}

// Over all processes, between two updates.
std::uint64_t Loop::largest(std::uint64_t mine) {
  std::vector<std::uint64_t> all(static_cast<std::size_t>(p_.communicator.world()));
  keeping_state([&] {
    p_.communicator.all_gather(std::as_bytes(std::span(&mine, 1)),
                               std::as_writable_bytes(std::span(all)));
  });
  return *std::max_element(all.begin(), all.end());
}

bool Loop::between_updates() {
  const TrainingProgress& progress = p_.learner.progress;
  const bool epoch_ended = progress.batch_cursor == 0;
  best_ = false;
  const bool last = progress.update == plan_.updates;
  const bool plateau = evaluation_due(epoch_ended) && evaluate();
  const bool each_update =
      c_.save_every_updates > 0 && progress.update % number(c_.save_every_updates) == 0;
  // While losses are over --max-loss, the newest state stays the one before them.
  // The best one is saved when it is met: by the next save it may be lost.
  const bool best =
      c_.save_best_only && best_ && in_saved_epochs(c_, progress.epoch + (epoch_ended ? 0 : 1));
  const bool due = each_update || best || (epoch_ended && saves_epoch(c_, progress.epoch));
  if (last || plateau || (due && !divergence_.under_way())) save(best_);
  return plateau;
}

LoopResult Loop::run() {
  const LoopResult result = train();
  if (p_.saver != nullptr) keeping_state([&] { p_.saver->finish(); });
  if (p_.save_share != nullptr) p_.save_share->finish();
  return result;
}

LoopResult Loop::train() {
  TrainingProgress& progress = p_.learner.progress;
  if (progress.update >= plan_.updates) {
    return {Ending::kFinished, fmt::format("nothing to do: {} of {} updates are done",
                                           progress.update, plan_.updates)};
  }
  if (c_.max_updates > 0 && number(c_.max_updates) > plan_.updates && p_.log != nullptr) {
    p_.log->warn(fmt::format("max-updates = {} lies beyond the {} updates of {} epochs",
                             c_.max_updates, plan_.updates, c_.epochs));
  }
  p_.learner.weights.require_gradients(true);
  const std::unique_ptr<engine::Loader> loader = make_loader();
  std::optional<Progress> bar;
  std::uint64_t bar_epoch = 0;
  while (progress.update < plan_.updates) {
    const Clock::time_point start = Clock::now();
    const engine::Batch* batch = keeping_state([&] { return loader->next(); });
    if (batch == nullptr) fail(Code::kInternal, "the loader ended at update {}", progress.update);
    if (!bar || bar_epoch != progress.epoch) {
      bar_epoch = progress.epoch;
      bar.reset();
      bar.emplace(fmt::format("epoch {}/{}", progress.epoch + 1, c_.epochs),
                  plan_.updates_per_epoch, ProgressUnit::kItems, p_.io.progress());
      bar->add(update_in_epoch());
    }
    update(*batch);
    bar->add(1);
    interval_.add_time(seconds_since(start));
    log_interval(loader->waited_s());
    // A rank that is lost shows here first where it was writing.
    if (p_.saver != nullptr) keeping_state([&] { p_.saver->check(); });
    if (between_updates()) {
      return {Ending::kFinished, fmt::format("{} has not improved in {} evaluations",
                                             p_.learner.metrics.major()->first, c_.patience)};
    }
    const bool late = c_.max_hours > 0 && p_.stop.running_s() > c_.max_hours * 3600;
    // A signal reaches processes at different moments: they stop after the same update.
    const std::uint64_t asked =
        largest(p_.stop.signal() != 0 ? number(p_.stop.signal()) : (late ? kLate : 0));
    if (progress.update < plan_.updates && asked != 0) {
      bar.reset();
      // Of a series of losses over --max-loss, the state before it is saved, and what comes after
      // it comes again.
      if (!divergence_.under_way()) save(false);
      return {Ending::kStopped,
              asked == kLate ? "--max-hours" : signal_name(static_cast<int>(asked)),
              asked == kLate || asked == SIGUSR1};
    }
  }
  return {Ending::kFinished, {}};
}

}  // namespace

LoopResult run_loop(const LoopParts& parts) { return Loop(parts).run(); }

}  // namespace reprise::train
