#include "ckpt/store/staging.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/progress.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace reprise::store {

namespace {

constexpr std::size_t kHugePage = 2u << 20;
// Small enough to share the work evenly, large enough to be worth handing out.
constexpr std::size_t kPiece = 8u << 20;
constexpr std::size_t kSmallAlignment = 64;
constexpr std::size_t kPage = 4096;

// In the place of values that were not copied. Each has an identity of its own.
class AbsentStorage final : public Storage {
 public:
  explicit AbsentStorage(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}
  std::uint64_t size_bytes() const override { return size_bytes_; }
  void read(std::uint64_t, MutableBytes) const override {
    fail(Code::kInternal, "a tensor that another process writes was to be read");
  }

 private:
  std::uint64_t size_bytes_;
};

// Where the distinct tensors of a checkpoint go.
class Plan {
 public:
  explicit Plan(const Wanted& wanted) : wanted_(wanted) {}

  // The copy of a tensor, which other tensors of the same values in the same place share.
  struct Copy {
    std::size_t offset = 0;
    bool wanted = true;
    std::shared_ptr<const Storage> storage = nullptr;  // once it is made
  };
  Copy& place(const Tensor& tensor) {
    const Bytes here = tensor.in_place();
    const void* base =
        here.empty() ? tensor.storage()->identity() : static_cast<const void*>(here.data());
    const std::int64_t offset = here.empty() ? tensor.offset() : 0;
    const Key key{base,
                  offset,
                  tensor.size_bytes(),
                  here.empty() ? tensor.strides() : Shape(),
                  here.empty() ? tensor.shape() : Shape(),
                  static_cast<int>(tensor.conjugated()) + 2 * static_cast<int>(tensor.negated())};
    const auto [at, is_new] = placed_.try_emplace(key);
    Copy& copy = at->second;
    if (is_new) copy.wanted = !wanted_ || wanted_(tensor);
    if (is_new && copy.wanted) {
      const std::size_t size = tensor.size_bytes();
      size_ = align_up(size_, size >= kPage ? kPage : kSmallAlignment);
      copy.offset = size_;
      size_ += size;
      sources_.emplace_back(tensor, copy.offset);
    }
    return copy;
  }

  std::size_t size() const { return size_; }

  void copy_to(std::byte* memory, unsigned jobs) const {
    struct Piece {
      const Tensor* tensor;
      Bytes from;  // empty: the tensor has to be read as a whole
      std::size_t to;
    };
    std::vector<Piece> pieces;
    for (const auto& [tensor, offset] : sources_) {
      const Bytes here = tensor.in_place();
      if (here.empty()) pieces.push_back({&tensor, {}, offset});
      for (std::size_t done = 0; done < here.size(); done += kPiece) {
        const std::size_t length = std::min(kPiece, here.size() - done);
        pieces.push_back({&tensor, here.subspan(done, length), offset + done});
      }
    }
    // Many small tensors go to a thread together.
    std::vector<std::size_t> starts;
    std::size_t bytes = kPiece;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      if (bytes >= kPiece) {
        starts.push_back(i);
        bytes = 0;
      }
      bytes += pieces[i].from.empty() ? pieces[i].tensor->size_bytes() : pieces[i].from.size();
    }
    starts.push_back(pieces.size());
    parallel_for(starts.size() - 1, jobs, [&](std::size_t group) {
      for (std::size_t i = starts[group]; i < starts[group + 1]; ++i) {
        const Piece& piece = pieces[i];
        if (piece.from.empty()) {
          piece.tensor->read({memory + piece.to, piece.tensor->size_bytes()});
        } else {
          std::memcpy(memory + piece.to, piece.from.data(), piece.from.size());
        }
      }
    });
  }

 private:
  // What makes two tensors one: place, extent, and how the place is read.
  using Key = std::tuple<const void*, std::int64_t, std::uint64_t, Shape, Shape, int>;
  const Wanted& wanted_;
  std::map<Key, Copy> placed_;
  std::vector<std::pair<Tensor, std::size_t>> sources_;
  std::size_t size_ = 0;
};

// Copies value trees, tensors replaced by their copies. Two passes over one tree: the
// first collects tensors, the second builds.
class TreeCopy {
 public:
  TreeCopy(Plan& plan, Arena& arena) : plan_(plan), arena_(arena) {}

  void collect(Value value, int depth = 0) {
    if (!visit(value, depth)) return;
    if (const TensorNode* node = value.if_tensor()) {
      if (node->layout == TensorLayout::kStrided) plan_.place(node->tensor);
    } else if (value.is_sequence()) {
      for (const Value& item : value.as_sequence().items) collect(item, depth + 1);
    } else if (const DictNode* dict = value.if_dict()) {
      for (const DictEntry& entry : dict->entries) collect(entry.value, depth + 1);
    }
  }

  template <typename Staged>
  Value build(Value value, const Staged& staged) {
    if (value.identity() == nullptr || !seen_.contains(value.identity())) return value;
    if (const auto made = made_.find(value.identity()); made != made_.end()) return made->second;
    if (const TensorNode* node = value.if_tensor()) {
      if (node->layout != TensorLayout::kStrided) return value;
      TensorNode copy = *node;
      copy.tensor = staged(node->tensor);
      return made_[value.identity()] = arena_.tensor_node(std::move(copy));
    }
    if (value.is_sequence()) {
      const Value copy = arena_.sequence(value.kind());
      made_[value.identity()] = copy;
      for (const Value& item : value.as_sequence().items) {
        copy.as_sequence().items.push_back(arena_, build(item, staged));
      }
      return copy;
    }
    if (const DictNode* dict = value.if_dict()) {
      const Value copy = arena_.dict(dict->dict_class);
      made_[value.identity()] = copy;
      copy.as_dict().factory = dict->factory;
      copy.as_dict().attributes = dict->attributes;
      copy.as_dict().entries.reserve(arena_, dict->entries.size());
      for (const DictEntry& entry : dict->entries) {
        copy.as_dict().append(arena_, entry.key, build(entry.value, staged));
      }
      return copy;
    }
    return value;
  }

 private:
  // Whether to look into a node: once, and only as deep as training state goes.
  bool visit(Value value, int depth) {
    if (depth > 32) fail(Code::kUnsupported, "training state is nested more than 32 levels deep");
    return value.identity() != nullptr && seen_.insert({value.identity(), true}).second;
  }

  Plan& plan_;
  Arena& arena_;
  std::unordered_map<const void*, bool> seen_;
  std::unordered_map<const void*, Value> made_;
};

}  // namespace

void StagingBuffer::reserve(std::size_t bytes) {
  if (bytes <= capacity_) return;
  memory_.reset();
  capacity_ = 0;
  const std::size_t size = align_up(bytes, kHugePage);
  void* address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    fail(Code::kIo, "no memory for a copy of the state ({}); use --sync-save", format_bytes(size));
  }
  // Advice only: without huge pages the copy is a little slower, and what populating
  // does not touch now is touched by the copy.
  madvise(address, size, MADV_HUGEPAGE);
#ifdef MADV_POPULATE_WRITE
  madvise(address, size, MADV_POPULATE_WRITE);
#endif
  memory_ = std::shared_ptr<std::byte>(static_cast<std::byte*>(address),
                                       [size](std::byte* start) { munmap(start, size); });
  capacity_ = size;
}

Checkpoint StagingBuffer::copy(const Checkpoint& checkpoint, unsigned jobs, const Wanted& wanted) {
  Checkpoint snapshot = checkpoint;
  snapshot.arena = std::make_shared<Arena>();
  snapshot.arena->keep_alive(checkpoint.arena);
  StateDict Checkpoint::*const dicts[] = {
      &Checkpoint::student, &Checkpoint::teacher,   &Checkpoint::backbone, &Checkpoint::head,
      &Checkpoint::model,   &Checkpoint::loss_func, &Checkpoint::ema};
  Value Checkpoint::*const trees[] = {&Checkpoint::optimizer, &Checkpoint::scheduler,
                                      &Checkpoint::scaler};
  Plan plan(wanted);
  TreeCopy tree_copy(plan, *snapshot.arena);
  for (const auto dict : dicts) {
    for (const auto& [name, tensor] : checkpoint.*dict) plan.place(tensor);
  }
  for (const auto tree : trees) tree_copy.collect(checkpoint.*tree);

  reserve(plan.size());
  plan.copy_to(memory_.get(), jobs);

  // One storage a tensor, at the place of its copy: equal places are one tensor again.
  const auto staged = [&](const Tensor& tensor) {
    const std::uint64_t size = tensor.size_bytes();
    Plan::Copy& copy = plan.place(tensor);
    if (!copy.storage && copy.wanted) {
      copy.storage = borrowed_storage({memory_.get() + copy.offset, size}, memory_);
    } else if (!copy.storage) {
      copy.storage = std::make_shared<AbsentStorage>(size);
    }
    return Tensor::contiguous(tensor.dtype(), tensor.shape(), copy.storage);
  };
  for (const auto dict : dicts) {
    StateDict copy;
    for (const auto& [name, tensor] : checkpoint.*dict) copy.append(name, staged(tensor));
    snapshot.*dict = std::move(copy);
  }
  for (const auto tree : trees) snapshot.*tree = tree_copy.build(checkpoint.*tree, staged);
  return snapshot;
}

}  // namespace reprise::store
