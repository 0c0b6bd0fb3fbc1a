#include "engine/data/loader.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

namespace reprise::engine {
namespace {

constexpr std::size_t kAlignment = 64;

struct AlignedDelete {
  void operator()(float* memory) const {
    ::operator delete[](memory, std::align_val_t(kAlignment));
  }
};
using AlignedFloats = std::unique_ptr<float[], AlignedDelete>;

std::size_t aligned_floats(std::size_t floats) {
  constexpr std::size_t kStep = kAlignment / sizeof(float);
  return (floats + kStep - 1) / kStep * kStep;
}

// Samples that a worker takes at once: few, so that the last one of a batch is not waited for.
constexpr std::size_t kPieceSamples = 4;

}  // namespace

// Batches move through the slots of a ring: planned by whichever thread finds a free slot,
// loaded piece by piece by all workers, handed out in order. Everything but `planes` of the
// slots being loaded is guarded by `mutex_`.
class Loader::Work {
 public:
  Work(const Dataset& dataset, std::vector<View> views, std::size_t batch, BatchPlan plan,
       const LoaderOptions& options)
      : dataset_(dataset),
        views_(std::move(views)),
        plan_(std::move(plan)),
        options_(options),
        batch_(batch),
        targets_(dataset.target_names().size()),
        slots_(std::max(1U, options.prefetch) + 1) {
    std::size_t floats = 0;
    for (std::size_t number = 0; number < views_.size(); ++number) {
      const ImageSize size = views_[number].size;
      if (size.height <= 0 || size.width <= 0) {
        fail(Code::kUsage, "view {} has no size ({} x {}): give --image-size", number, size.width,
             size.height);
      }
      view_offsets_.push_back(floats);
      floats += aligned_floats(batch_ * largest_view(number).floats());
    }
    for (Slot& slot : slots_) {
      slot.memory = allocate(floats);
    }
    try {
      for (unsigned i = 0; i < options_.workers; ++i) {
        workers_.emplace_back([this] { work(); });
      }
    } catch (const std::system_error& error) {
      stop();
      fail(Code::kIo, "worker thread {} of {} could not be started: {}; use fewer --workers",
           workers_.size(), options_.workers, error.what());
    }
  }

  ~Work() { stop(); }

  const Batch* next() {
    const auto start = std::chrono::steady_clock::now();
    const Batch* batch = options_.workers == 0 ? load_here() : wait_for_head();
    waited_s_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return batch;
  }

  double waited_s() const { return waited_s_; }

 private:
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    work_wanted_.notify_all();
    for (std::thread& worker : workers_) {
      worker.join();
    }
  }

  struct Slot {
    std::span<float> memory;
    Batch batch;
    std::size_t started = 0;  // samples [0, started) are taken by workers
    std::size_t finished = 0;
    std::exception_ptr error;  // of the first sample, in batch order, that has one
    std::size_t error_place = 0;
  };

  View largest_view(std::size_t number) const {
    View view = views_[number];
    if (number == 0 && options_.largest_side > 0) {
      view.size.height = std::max(view.size.height, options_.largest_side);
      view.size.width = std::max(view.size.width, options_.largest_side);
    }
    return view;
  }

  std::span<float> allocate(std::size_t floats) {
    if (options_.allocate) {
      const std::span<float> memory = options_.allocate(floats);
      if (memory.size() < floats) {
        fail(Code::kInternal, "the allocator of a loader gave {} floats for {}", memory.size(),
             floats);
      }
      return memory;
    }
    auto* memory = static_cast<float*>(::operator new[](
        std::max<std::size_t>(1, floats) * sizeof(float), std::align_val_t(kAlignment)));
    own_memory_.emplace_back(memory);
    return {memory, floats};
  }

  // Draws the next request into `slot`. Returns false when the plan has ended.
  bool plan_into(Slot& slot) {
    std::optional<BatchRequest> request = plan_();
    if (!request) {
      return false;
    }
    if (request->ids.size() > batch_ || request->side > std::max(options_.largest_side, 0)) {
      fail(Code::kInternal, "a request of {} samples of side {} for a loader of {} and {}",
           request->ids.size(), request->side, batch_, options_.largest_side);
    }
    slot.started = slot.finished = 0;
    slot.error = nullptr;
    Batch& batch = slot.batch;
    batch.number = planned_;
    batch.epoch = request->epoch;
    batch.ids = std::move(request->ids);
    batch.after = request->after;
    batch.labels.assign(batch.ids.size(), -1);
    batch.values.assign(batch.ids.size() * targets_, 0.0F);
    batch.views.clear();
    batch.sizes.clear();
    for (std::size_t number = 0; number < views_.size(); ++number) {
      View view = views_[number];
      if (number == 0 && request->side > 0) {
        view.size = {request->side, request->side};
      }
      batch.sizes.push_back(view.size);
      batch.views.push_back(
          slot.memory.subspan(view_offsets_[number], batch.ids.size() * view.floats()));
    }
    return true;
  }

  // Reads sample number `place` of the batch and renders its views. Called without the lock.
  void load_sample(Batch& batch, std::size_t place) const {
    const std::uint64_t id = batch.ids[place];
    Sample sample = id == kPadding ? Sample{} : dataset_.read(id);
    batch.labels[place] = sample.label;
    bool negate = false;
    for (std::size_t number = 0; number < views_.size(); ++number) {
      View view = views_[number];
      view.size = batch.sizes[number];
      const auto planes = batch.views[number].subspan(place * view.floats(), view.floats());
      if (id == kPadding) {
        std::fill(planes.begin(), planes.end(), 0.0F);
        continue;
      }
      const Stream stream(options_.seed, Domain::kAugmentation, {batch.epoch, id, number});
      const bool mirrored = render_view(sample.image, view, dataset_.mirror_rule(), stream, planes);
      // The target belongs to the first view; others are for self-distillation.
      negate |= number == 0 && mirrored && dataset_.mirror_rule() == MirrorRule::kNegates;
    }
    for (std::size_t i = 0; i < std::min(targets_, sample.values.size()); ++i) {
      batch.values[place * targets_ + i] = negate ? -sample.values[i] : sample.values[i];
    }
  }

  const Batch* load_here() {
    Slot& slot = slots_.front();
    // Stays at its end when the plan or a sample throws.
    if (std::exchange(ended_, true) || !plan_into(slot)) {
      return nullptr;
    }
    ++planned_;
    for (std::size_t place = 0; place < slot.batch.ids.size(); ++place) {
      load_sample(slot.batch, place);
    }
    ended_ = false;
    return &slot.batch;
  }

  const Batch* wait_for_head() {
    std::unique_lock lock(mutex_);
    if (held_) {
      held_ = false;
      ++taken_;
      work_wanted_.notify_all();
    }
    batch_ready_.wait(lock, [&] { return head_is_ready() || (ended_ && taken_ == planned_); });
    if (taken_ == planned_) {
      if (plan_error_) {
        std::rethrow_exception(std::exchange(plan_error_, nullptr));
      }
      return nullptr;
    }
    Slot& slot = slot_of(taken_);
    if (slot.error) {
      stop_ = true;  // nothing after a failed batch is handed out
      ended_ = true;
      planned_ = taken_;
      work_wanted_.notify_all();
      std::rethrow_exception(std::exchange(slot.error, nullptr));
    }
    held_ = true;
    return &slot.batch;
  }

  Slot& slot_of(std::uint64_t number) { return slots_[number % slots_.size()]; }

  bool head_is_ready() {
    if (taken_ == planned_) {
      return false;
    }
    const Slot& slot = slot_of(taken_);
    // With an error, samples that nobody took stay unread.
    return slot.finished == slot.batch.ids.size() || (slot.error && slot.finished == slot.started);
  }

  // The batch that has samples left to take, planning a new one into a free slot when there
  // is none. Null when there is nothing to do now.
  Slot* slot_with_work() {
    for (std::uint64_t number = taken_; number < planned_; ++number) {
      Slot& slot = slot_of(number);
      if (slot.started < slot.batch.ids.size() && !slot.error) {
        return &slot;
      }
    }
    if (ended_ || planned_ - taken_ == slots_.size()) {
      return nullptr;
    }
    Slot& slot = slot_of(planned_);
    try {
      ended_ = !plan_into(slot);
    } catch (...) {
      ended_ = true;
      plan_error_ = std::current_exception();
    }
    if (ended_) {
      batch_ready_.notify_all();
      return nullptr;
    }
    ++planned_;
    if (slot.batch.ids.empty()) {
      batch_ready_.notify_all();
    }
    work_wanted_.notify_all();
    return slot.batch.ids.empty() ? nullptr : &slot;
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (!stop_) {
      Slot* slot = slot_with_work();
      if (slot == nullptr) {
        if (!stop_ && !(planned_ - taken_ < slots_.size() && !ended_)) {
          work_wanted_.wait(lock);
        }
        continue;
      }
      const std::size_t first = slot->started;
      const std::size_t end = std::min(first + kPieceSamples, slot->batch.ids.size());
      slot->started = end;
      lock.unlock();
      std::exception_ptr error;
      std::size_t place = first;
      for (; place < end && !stop_ && !error; ++place) {
        try {
          load_sample(slot->batch, place);
        } catch (...) {
          error = std::current_exception();
        }
      }
      lock.lock();
      slot->finished += end - first;
      if (error && (!slot->error || place < slot->error_place)) {
        slot->error = error;
        slot->error_place = place;
      }
      batch_ready_.notify_all();
    }
  }

  const Dataset& dataset_;
  const std::vector<View> views_;
  const BatchPlan plan_;
  const LoaderOptions options_;
  const std::size_t batch_;
  const std::size_t targets_;
  std::vector<std::size_t> view_offsets_;
  std::vector<AlignedFloats> own_memory_;
  double waited_s_ = 0;

  std::mutex mutex_;
  std::condition_variable work_wanted_;
  std::condition_variable batch_ready_;
  std::vector<Slot> slots_;
  std::uint64_t planned_ = 0;  // batches planned so far; their slots are [taken_, planned_)
  std::uint64_t taken_ = 0;    // batches the consumer has given back
  bool held_ = false;          // the consumer holds batch taken_
  bool ended_ = false;
  std::atomic<bool> stop_ = false;
  std::exception_ptr plan_error_;
  std::vector<std::thread> workers_;
};

Loader::Loader(const Dataset& dataset, std::vector<View> views, std::size_t batch, BatchPlan plan,
               const LoaderOptions& options)
    : work_(std::make_unique<Work>(dataset, std::move(views), batch, std::move(plan), options)) {}

Loader::~Loader() = default;

const Batch* Loader::next() { return work_->next(); }

double Loader::waited_s() const { return work_->waited_s(); }

}  // namespace reprise::engine
