#include "migrate/cli/read_back.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/container/open.h"
#include "ckpt/store/save.h"
#include "ckpt/store/upgraded_file.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <set>
#include <tuple>
#include <utility>

namespace reprise::migrate {
namespace fs = std::filesystem;

namespace {

// Optimizer state by parameter and name, which is as deep as optimizers keep tensors: what a
// hostile file nests below, or inside itself, is not followed.
void add_optimizer_state(const DictNode& state, NamedTensors& out) {
  for (const DictEntry& of_parameter : state.entries) {
    const DictNode* fields = of_parameter.value.if_dict();
    if (fields == nullptr || !of_parameter.key.if_int()) continue;
    for (const DictEntry& field : fields->entries) {
      const TensorNode* node = field.value.if_tensor();
      if (node == nullptr || !field.key.is_string()) continue;
      out.push_back(
          {fmt::format("optimizer/state/{}/{}", of_parameter.key.as_int(), field.key.as_string()),
           node->tensor});
    }
  }
}

constexpr std::size_t kPieceBytes = 2u << 20;
constexpr std::uint64_t kRangeBytes = 16u << 20;  // of one tensor, for one thread at a time

// Memory that begins on a page, as reading past the page cache asks for.
class PageAlignedBuffer {
 public:
  explicit PageAlignedBuffer(std::size_t length)
      : length_(length),
        bytes_(static_cast<std::byte*>(
            std::aligned_alloc(kPage, align_up(std::max<std::size_t>(length, 1), kPage)))) {
    if (!bytes_) throw std::bad_alloc();
  }
  MutableBytes bytes() const { return {bytes_.get(), length_}; }

 private:
  static constexpr std::size_t kPage = 4096;
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::size_t length_;
  std::unique_ptr<std::byte[], Free> bytes_;
};

// A range of a tensor that has to be there twice.
struct Range {
  const Tensor* source;
  const Tensor* copy;
  std::string_view name;
  std::uint64_t from = 0, length = 0;  // bytes of the values
};

[[noreturn]] void fail_different(std::string_view name) {
  fail(Code::kIo,
       "tensor {} reads back differently from what was written; the disk may be failing; "
       "nothing was published",
       printable(name));
}

// Both are read again, piece by piece, so that neither has to fit into memory: the result through
// a buffer, the source where it lies in the page cache, if it does.
void compare_range(const Range& range) {
  const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, range.length));
  const PageAlignedBuffer read_back(piece);
  std::vector<std::byte> read_again;
  const auto place = [](const Tensor& tensor) {
    return static_cast<std::uint64_t>(tensor.offset()) * item_size(tensor.dtype());
  };
  const Storage& source = *range.source->storage();
  const Bytes in_place = source.in_place();
  if (in_place.empty()) read_again.resize(piece);
  for (std::uint64_t done = 0; done < range.length; done += piece) {
    const auto length = std::min<std::uint64_t>(piece, range.length - done);
    const std::uint64_t from = range.from + done;
    const MutableBytes found = read_back.bytes().first(length);
    range.copy->storage()->read(place(*range.copy) + from, found);
    const std::uint64_t source_from = place(*range.source) + from;
    Bytes expected;
    if (in_place.empty()) {
      source.read(source_from, std::span(read_again).first(length));
      expected = Bytes(read_again).first(length);
    } else {
      source.prepare(source_from, length);
      expected = in_place.subspan(source_from, length);
    }
    if (std::memcmp(found.data(), expected.data(), length) != 0) fail_different(range.name);
    source.release(source_from, length);
  }
}

bool is_plain(const Tensor& tensor) {
  return tensor.storage() != nullptr && tensor.is_contiguous() && !tensor.conjugated() &&
         !tensor.negated();
}

// Tied tensors are one view of the source and one of the result: they are compared once, however
// many names they have.
auto view_of(const Tensor& tensor) {
  return std::tuple(tensor.storage()->identity(), tensor.offset(), tensor.shape(), tensor.strides(),
                    tensor.conjugated(), tensor.negated());
}

// Compares `found` with what was to be written, tensor by tensor in the same order, from the disk.
void compare_tensors(const NamedTensors& expected, const NamedTensors& found,
                     const ReadBackOptions& options) {
  if (found.size() != expected.size()) {
    fail(Code::kInternal, "the result holds {} tensors, the source {}; nothing was published",
         found.size(), expected.size());
  }
  std::vector<Range> ranges;
  using View = decltype(view_of(Tensor()));
  std::set<std::pair<View, View>> known;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto& [name, tensor] = expected[i];
    const Tensor& other = found[i].tensor;
    if (found[i].name != name)
      fail(Code::kInternal, "tensor {} is missing in the result; nothing was published",
           printable(name));
    if (other.dtype() != tensor.dtype() || other.shape() != tensor.shape()) fail_different(name);
    const std::uint64_t size = tensor.size_bytes();
    if (size == 0 || !known.emplace(view_of(tensor), view_of(other)).second) continue;
    if (!is_plain(tensor) || !is_plain(other)) {
      if (other.digest() != tensor.digest()) fail_different(name);
      continue;
    }
    for (std::uint64_t from = 0; from < size; from += kRangeBytes)
      ranges.push_back({&tensor, &other, name, from, std::min(kRangeBytes, size - from)});
  }
  parallel_for(ranges.size(), disk_threads(options.jobs), [&](std::size_t i) {
    compare_range(ranges[i]);
    if (options.on_bytes) options.on_bytes(ranges[i].length);
  });
}

}  // namespace

NamedTensors tensors_of(const Checkpoint& checkpoint) {
  NamedTensors out;
  const auto add = [&](std::string_view part, const StateDict& tensors) {
    for (const auto& [name, tensor] : tensors)
      out.push_back({fmt::format("{}/{}", part, name), tensor});
  };
  for (const auto& [part, tensors] : checkpoint.state_dicts()) add(part, *tensors);
  add("loss_func", checkpoint.loss_func);
  add("ema", checkpoint.ema);
  if (checkpoint.optimizer.is_dict())
    add_optimizer_state(checkpoint.optimizer.as_dict().get("state").as_dict(), out);
  return out;
}

void compare_with_source(const Checkpoint& source, const fs::path& written,
                         const ReadBackOptions& options) {
  Checkpoint back;
  if (store::format_of(written) == store::FileFormat::kHdf5) {
    // Equal bytes of every tensor say more than their digests would.
    back = Checkpoint::from(container::open(
        written, {.verify = container::Verify::kNone, .reads = MappedFile::Reads::kPastCache}));
    compare_tensors(container::name_tensors(source.to_document()),
                    container::name_tensors(back.to_document()), options);
  } else {
    // A .pth holds some values in a form that Python reads: checksums speak for those.
    back = store::open_upgraded(written, {.verify = true, .jobs = options.jobs}).checkpoint;
    compare_tensors(tensors_of(source), tensors_of(back), options);
  }
  if (back.uuid != source.uuid || back.epoch != source.epoch) {
    fail(Code::kInternal, "uuid or epoch changed on the way; nothing was published");
  }
}

}  // namespace reprise::migrate
