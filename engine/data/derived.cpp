#include "engine/data/derived.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/progress.h"

#include <atomic>
#include <map>
#include <mutex>

namespace reprise::engine {
namespace {

// Everything as the set below has it.
class Derived : public Dataset {
 public:
  explicit Derived(DatasetPtr below) : below_(std::move(below)) {}

  std::uint64_t size() const override { return below_->size(); }
  Task task() const override { return below_->task(); }
  const std::vector<std::string>& class_names() const override { return below_->class_names(); }
  const std::vector<std::string>& target_names() const override { return below_->target_names(); }
  MirrorRule mirror_rule() const override { return below_->mirror_rule(); }
  ImageSize native_size() const override { return below_->native_size(); }
  int channels() const override { return below_->channels(); }
  Normalisation normalisation() const override { return below_->normalisation(); }
  Sample read(std::uint64_t id) const override { return below_->read(id); }
  Sample target(std::uint64_t id) const override { return below_->target(id); }
  std::string name(std::uint64_t id) const override { return below_->name(id); }
  Digest digest() const override { return below_->digest(); }
  const std::vector<BadSample>& bad_samples() const override { return below_->bad_samples(); }

 protected:
  DatasetPtr below_;
};

class CachedSet final : public Derived {
 public:
  CachedSet(DatasetPtr below, std::uint64_t limit_bytes)
      : Derived(std::move(below)),
        limit_bytes_(limit_bytes),
        entries_(std::make_unique<Entry[]>(below_->size())) {}

  Sample read(std::uint64_t id) const override {
    if (id >= below_->size()) {
      return below_->read(id);  // which says what is wrong
    }
    Entry& entry = entries_[id];
    // After an exception the next reader tries again.
    std::call_once(entry.once, [&] {
      Sample sample = below_->read(id);
      const std::uint64_t bytes = sample.image.bytes() + sizeof(Sample);
      if (used_bytes_.fetch_add(bytes) + bytes <= limit_bytes_) {
        entry.sample = std::make_unique<const Sample>(std::move(sample));
      } else {
        used_bytes_.fetch_sub(bytes);
      }
    });
    return entry.sample ? *entry.sample : below_->read(id);
  }

 private:
  struct Entry {
    std::once_flag once;
    std::unique_ptr<const Sample> sample;
  };
  std::uint64_t limit_bytes_;
  std::unique_ptr<Entry[]> entries_;
  mutable std::atomic<std::uint64_t> used_bytes_{0};
};

class Subset final : public Derived {
 public:
  Subset(DatasetPtr below, std::vector<std::uint64_t> ids, std::vector<BadSample> bad)
      : Derived(std::move(below)), ids_(std::move(ids)), bad_(std::move(bad)) {
    if (ids_.empty()) {
      fail(Code::kCorrupt, "no sample of the data set is left{}",
           bad_.empty() ? "" : ": every image is damaged, the first is " + bad_.front().name);
    }
  }

  std::uint64_t size() const override { return ids_.size(); }
  Sample read(std::uint64_t id) const override { return below_->read(below_id(id)); }
  Sample target(std::uint64_t id) const override { return below_->target(below_id(id)); }
  std::string name(std::uint64_t id) const override { return below_->name(below_id(id)); }
  Digest digest() const override {
    Sha256 hash;
    hash.update("subset of ").update(below_->digest().hex());
    hash.update(std::as_bytes(std::span(ids_)));
    return hash.finish();
  }
  const std::vector<BadSample>& bad_samples() const override { return bad_; }

 private:
  std::uint64_t below_id(std::uint64_t id) const {
    if (id >= ids_.size()) {
      fail(Code::kInternal, "sample {} of a data set of {}", id, ids_.size());
    }
    return ids_[id];
  }

  std::vector<std::uint64_t> ids_;
  std::vector<BadSample> bad_;
};

}  // namespace

DatasetPtr cached(DatasetPtr dataset, std::uint64_t limit_bytes) {
  return std::make_shared<CachedSet>(std::move(dataset), limit_bytes);
}

DatasetPtr subset(DatasetPtr dataset, std::vector<std::uint64_t> ids, std::vector<BadSample> bad) {
  return std::make_shared<Subset>(std::move(dataset), std::move(ids), std::move(bad));
}

std::vector<std::uint64_t> spread_ids(std::uint64_t size, std::uint64_t count) {
  const std::uint64_t taken = count == 0 || count > size ? size : count;
  std::vector<std::uint64_t> ids(taken);
  for (std::uint64_t i = 0; i < taken; ++i) {
    // i * size / taken without overflow for any size.
    ids[i] = static_cast<std::uint64_t>(static_cast<unsigned __int128>(i) * size / taken);
  }
  return ids;
}

DatasetPtr without_bad_samples(DatasetPtr dataset) {
  const std::uint64_t size = dataset->size();
  std::map<std::uint64_t, BadSample> bad;
  std::mutex mutex;
  Progress progress("checking images", size, ProgressUnit::kItems);
  constexpr std::uint64_t kPiece = 64;
  parallel_for((size + kPiece - 1) / kPiece, 0, [&](std::size_t piece) {
    const std::uint64_t end = std::min(size, (piece + 1) * kPiece);
    for (std::uint64_t id = piece * kPiece; id < end; ++id) {
      try {
        dataset->read(id);
      } catch (const Error& error) {
        if (error.code() != Code::kCorrupt && error.code() != Code::kUnsupported) {
          throw;
        }
        const std::lock_guard lock(mutex);
        bad[id] = {dataset->name(id), error.what()};
      }
    }
    progress.add(end - piece * kPiece);
  });
  if (bad.empty()) {
    return dataset;
  }
  std::vector<std::uint64_t> good;
  std::vector<BadSample> reasons;
  for (std::uint64_t id = 0; id < size; ++id) {
    if (const auto found = bad.find(id); found != bad.end()) {
      reasons.push_back(std::move(found->second));
    } else {
      good.push_back(id);
    }
  }
  return subset(std::move(dataset), std::move(good), std::move(reasons));
}

}  // namespace reprise::engine
