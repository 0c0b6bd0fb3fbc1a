#include "tests/engine/watched_device/watched_device.h"

#include "tests/engine/watched_device/stream_watch.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/library.h>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace reprise::engine {
namespace {

constexpr c10::DeviceType kType = c10::DeviceType::PrivateUse1;

StreamWatch& watch() {
  static auto* const kWatch = new StreamWatch;
  return *kWatch;
}

std::atomic<std::uint64_t> bytes_to_host{0};
std::atomic<std::uint64_t> bytes_from_pinned{0};

// Memory -------------------------------------------------------------------------------------

// One file of memory, mapped twice: where tensors believe to lie, nobody may touch it; kernels
// reach it by the other way.
class DeviceMemory {
 public:
  static DeviceMemory& instance() {
    static auto* const kMemory = new DeviceMemory;
    return *kMemory;
  }

  std::byte* take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    // Cache lines apart, as cudaMalloc does it.
    const std::size_t place = (used_ + kStep - 1) / kStep * kStep;
    if (place + size > kSize) throw std::runtime_error("the watched device is full");
    used_ = place + size;
    return closed_ + place;
  }
  bool owns(const void* address) const {
    const auto* byte = static_cast<const std::byte*>(address);
    return byte >= closed_ && byte < closed_ + kSize;
  }
  std::byte* opened(const void* address) const {
    return open_ + (static_cast<const std::byte*>(address) - closed_);
  }

 private:
  static constexpr std::size_t kSize = std::size_t{8} << 30;  // of addresses: pages come when used
  static constexpr std::size_t kStep = 512;

  DeviceMemory() {
    const int file = ::memfd_create("watched_device", MFD_CLOEXEC);
    if (file < 0 || ::ftruncate(file, static_cast<off_t>(kSize)) != 0) {
      throw std::runtime_error("no memory for the watched device");
    }
    const auto map = [&](int protection) {
      void* address = ::mmap(nullptr, kSize, protection, MAP_SHARED | MAP_NORESERVE, file, 0);
      if (address == MAP_FAILED) throw std::runtime_error("the watched device cannot be mapped");
      return static_cast<std::byte*>(address);
    };
    closed_ = map(PROT_NONE);
    open_ = map(PROT_READ | PROT_WRITE);
    ::close(file);
  }

  std::byte* closed_ = nullptr;
  std::byte* open_ = nullptr;
  std::mutex mutex_;
  std::size_t used_ = 0;
};

const c10::impl::DeviceGuardImplInterface& guard() { return *c10::impl::getDeviceGuardImpl(kType); }

c10::Stream stream_of(c10::Device device) { return guard().getStream(device); }

// As CUDA's caching allocator: what is given back goes to whoever asks on the same stream next,
// without waiting for anybody.
class DeviceAllocator final : public c10::DeviceAllocator {
 public:
  static DeviceAllocator& instance() {
    static auto* const kAllocator = new DeviceAllocator;
    return *kAllocator;
  }

  c10::DataPtr allocate(std::size_t size) override {
    const c10::Device device = guard().getDevice();
    if (size == 0) return {nullptr, nullptr, &forget, device};
    std::size_t rounded = 512;
    while (rounded < size) rounded *= 2;
    const c10::Stream stream = stream_of(device);
    auto block = std::make_unique<Block>(Block{nullptr, rounded, stream});
    std::size_t allocated = 0;
    {
      const std::lock_guard lock(mutex_);
      std::vector<std::byte*>& free = free_[{stream.device_index(), stream.id(), rounded}];
      if (!free.empty()) {
        block->address = free.back();
        free.pop_back();
      }
      c10::CachingAllocator::Stat& stat = allocated_[static_cast<std::size_t>(device.index())];
      stat.increase(rounded);
      allocated = static_cast<std::size_t>(stat.current);
    }
    if (block->address == nullptr) block->address = DeviceMemory::instance().take(rounded);
    std::byte* address = block->address;
    report(*block, static_cast<std::int64_t>(rounded), allocated);
    return {address, block.release(), &give_back, device};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, std::size_t size) const override {
    const DeviceMemory& memory = DeviceMemory::instance();
    std::memcpy(memory.opened(to), memory.opened(from), size);
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t /*pool*/) override {}
  void recordStream(const c10::DataPtr& /*data*/, c10::Stream /*stream*/) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex device) override {
    const std::lock_guard lock(mutex_);
    c10::CachingDeviceAllocator::DeviceStats stats;
    stats.allocated_bytes[0] = allocated_[static_cast<std::size_t>(device)];
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex /*device*/) override {}
  void resetPeakStats(c10::DeviceIndex /*device*/) override {}

 private:
  struct Block {
    std::byte* address;
    std::size_t size;
    c10::Stream stream;
  };

  static void report(const Block& block, std::int64_t bytes, std::size_t allocated) {
    c10::reportMemoryUsageToProfiler(block.address, bytes, allocated, allocated,
                                     block.stream.device());
  }
  static void forget(void* /*nothing*/) {}
  static void give_back(void* context) {
    const std::unique_ptr<Block> block(static_cast<Block*>(context));
    DeviceAllocator& self = instance();
    const std::lock_guard lock(self.mutex_);
    c10::CachingAllocator::Stat& stat =
        self.allocated_[static_cast<std::size_t>(block->stream.device_index())];
    stat.decrease(block->size);
    report(*block, -static_cast<std::int64_t>(block->size), static_cast<std::size_t>(stat.current));
    self.free_[{block->stream.device_index(), block->stream.id(), block->size}].push_back(
        block->address);
  }

  std::mutex mutex_;
  std::map<std::tuple<c10::DeviceIndex, c10::StreamId, std::size_t>, std::vector<std::byte*>> free_;
  std::array<c10::CachingAllocator::Stat, kWatchedDevices> allocated_{};
};

// Host memory that devices may copy from on their own.
class PinnedAllocator final : public c10::Allocator {
 public:
  static PinnedAllocator& instance() {
    static auto* const kAllocator = new PinnedAllocator;
    return *kAllocator;
  }
  c10::DataPtr allocate(std::size_t size) override {
    void* memory = std::aligned_alloc(64, (size + 63) / 64 * 64 + 64);
    const std::lock_guard lock(mutex_);
    ranges_[static_cast<const std::byte*>(memory)] = size;
    return {memory, memory, &give_back, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, std::size_t size) const override {
    std::memcpy(to, from, size);
  }
  bool owns(const void* address) {
    const std::lock_guard lock(mutex_);
    const auto* byte = static_cast<const std::byte*>(address);
    auto after = ranges_.upper_bound(byte);
    return after != ranges_.begin() && byte < std::prev(after)->first + std::prev(after)->second;
  }

 private:
  static void give_back(void* memory) {
    PinnedAllocator& self = instance();
    const std::lock_guard lock(self.mutex_);
    self.ranges_.erase(static_cast<const std::byte*>(memory));
    std::free(memory);
  }

  std::mutex mutex_;
  std::map<const std::byte*, std::size_t> ranges_;
};

// Streams and events -------------------------------------------------------------------------

thread_local c10::DeviceIndex current_device = 0;
thread_local std::array<c10::StreamId, kWatchedDevices> current_streams{};
std::atomic<c10::StreamId> last_stream{0};

class Guard final : public c10::impl::DeviceGuardImplInterface {
 public:
  c10::DeviceType type() const override { return kType; }
  c10::Device exchangeDevice(c10::Device device) const override {
    return {kType, std::exchange(current_device, device.index())};
  }
  c10::Device getDevice() const override { return {kType, current_device}; }
  void setDevice(c10::Device device) const override { current_device = device.index(); }
  void uncheckedSetDevice(c10::Device device) const noexcept override {
    current_device = device.index();
  }
  c10::DeviceIndex deviceCount() const noexcept override { return kWatchedDevices; }

  c10::Stream getStream(c10::Device device) const override {
    const c10::DeviceIndex index = device.has_index() ? device.index() : current_device;
    return make(index, current_streams[static_cast<std::size_t>(index)]);
  }
  c10::Stream getDefaultStream(c10::Device device) const override {
    return make(device.index(), 0);
  }
  c10::Stream getStreamFromGlobalPool(c10::Device device, bool /*high*/) const override {
    return make(device.index(), ++last_stream);
  }
  c10::Stream getNewStream(c10::Device device, int /*priority*/) const override {
    return make(device.index(), ++last_stream);
  }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    c10::StreamId& current = current_streams[static_cast<std::size_t>(stream.device_index())];
    return make(stream.device_index(), std::exchange(current, stream.id()));
  }
  bool queryStream(const c10::Stream& /*stream*/) const override { return true; }
  void synchronizeStream(const c10::Stream& stream) const override { watch().host_waits(stream); }

  void record(void** event, const c10::Stream& stream, c10::DeviceIndex /*device*/,
              c10::EventFlag /*flag*/) const override {
    if (*event == nullptr) *event = new Clock;
    *static_cast<Clock*>(*event) = watch().record(stream);
  }
  void block(void* event, const c10::Stream& stream) const override {
    if (event != nullptr) watch().follow(stream, *static_cast<const Clock*>(event));
  }
  bool queryEvent(void* /*event*/) const override { return true; }
  void synchronizeEvent(void* event) const override {
    if (event != nullptr) watch().host_waits(*static_cast<const Clock*>(event));
  }
  void destroyEvent(void* event, c10::DeviceIndex /*device*/) const noexcept override {
    delete static_cast<Clock*>(event);
  }

 private:
  static c10::Stream make(c10::DeviceIndex index, c10::StreamId id) {
    return c10::Stream(c10::Stream::UNSAFE, c10::Device(kType, index), id);
  }
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex /*device*/) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return kWatchedDevices; }
  bool isPinnedPtr(const void* data) const override {
    return PinnedAllocator::instance().owns(data);
  }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &PinnedAllocator::instance(); }
  at::Device getDeviceFromPtr(void* /*data*/) const override { return watched_device(); }
};

// Kernels ------------------------------------------------------------------------------------

bool is_ours(const at::Tensor& tensor) {
  return tensor.defined() && tensor.device().type() == kType;
}

std::size_t extent_bytes(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return 0;
  std::int64_t last = 0;
  for (std::int64_t d = 0; d < tensor.dim(); ++d) last += (tensor.size(d) - 1) * tensor.stride(d);
  return static_cast<std::size_t>(last + 1) * tensor.itemsize();
}

void note_on(c10::Stream stream, const at::Tensor& tensor, bool write, const std::string& what) {
  const void* address = tensor.unsafeGetTensorImpl()->data();
  watch().access(stream, tensor.storage().data(), static_cast<const std::byte*>(address),
                 extent_bytes(tensor), write, what);
}

void note(const at::Tensor& tensor, bool write, const std::string& what) {
  note_on(stream_of(tensor.device()), tensor, write, what);
}

// The same elements as a tensor of the CPU.
at::Tensor opened(const at::Tensor& tensor) {
  const auto options = tensor.options().device(c10::kCPU);
  if (tensor.numel() == 0) return at::empty_strided(tensor.sizes(), tensor.strides(), options);
  const void* address = tensor.unsafeGetTensorImpl()->data();
  return at::from_blob(DeviceMemory::instance().opened(address), tensor.sizes(), tensor.strides(),
                       options);
}

c10::Device device_or_current(std::optional<at::Device> device) {
  return device && device->has_index() ? *device : guard().getDevice();
}

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides,
                         std::optional<at::ScalarType> type, std::optional<at::Layout> /*layout*/,
                         std::optional<at::Device> device, std::optional<bool> /*pinned*/) {
  const c10::DeviceGuard here(device_or_current(device));
  return at::detail::empty_strided_generic(sizes, strides, &DeviceAllocator::instance(),
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           type.value_or(at::kFloat));
}

at::Tensor empty(at::IntArrayRef sizes, std::optional<at::ScalarType> type,
                 std::optional<at::Layout> /*layout*/, std::optional<at::Device> device,
                 std::optional<bool> /*pinned*/, std::optional<at::MemoryFormat> format) {
  const c10::DeviceGuard here(device_or_current(device));
  return at::detail::empty_generic(sizes, &DeviceAllocator::instance(),
                                   c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   type.value_or(at::kFloat), format);
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  const c10::Device device = is_ours(to) ? to.device() : from.device();
  const c10::Stream stream = stream_of(device);
  if (is_ours(from)) note_on(stream, from, false, "copy_");
  if (is_ours(to)) note_on(stream, to, true, "copy_");
  const at::Tensor source = is_ours(from) ? opened(from) : from;
  const at::Tensor target = is_ours(to) ? opened(to) : to;
  target.copy_(source);
  if (!is_ours(to)) {
    bytes_to_host += from.nbytes();
    watch().host_waits(stream);
  } else if (!is_ours(from)) {
    // From other memory a device copies by way of its own, before it returns.
    if (non_blocking && is_pinned(from.const_data_ptr())) {
      bytes_from_pinned += from.nbytes();
      watch().copy_later(stream, static_cast<const std::byte*>(from.const_data_ptr()),
                         extent_bytes(from));
    } else {
      watch().host_waits(stream);
    }
  }
  return to;
}

// What comes out of the CPU's kernel, on the device.
at::Tensor brought(const at::Tensor& made, c10::Device device, const std::string& what) {
  if (!made.defined() || !made.is_cpu()) return made;
  const at::Tensor there = empty_strided(made.sizes(), made.strides(), made.scalar_type(),
                                         std::nullopt, device, std::nullopt);
  note(there, true, what);
  opened(there).copy_(made);
  return there;
}

// Any operator: the CPU's kernel, on the memory of the device.
void run_on_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const c10::FunctionSchema& schema = op.schema();
  const std::string& what = schema.name();
  const std::size_t first = stack->size() - schema.arguments().size();
  std::vector<at::Tensor> originals(schema.arguments().size());
  std::optional<c10::Device> device;
  const auto open = [&](const at::Tensor& tensor, bool write) {
    if (!is_ours(tensor)) return tensor;
    device = tensor.device();
    note(tensor, write, what);
    return opened(tensor);
  };
  for (std::size_t i = 0; i < originals.size(); ++i) {
    c10::IValue& value = (*stack)[first + i];
    const c10::AliasInfo* alias = schema.arguments()[i].alias_info();
    const bool write = alias != nullptr && alias->isWrite();
    if (value.isTensor()) {
      originals[i] = value.toTensor();
      value = open(originals[i], write);
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> list = value.toTensorVector();
      for (at::Tensor& tensor : list) tensor = open(tensor, write);
      value = c10::List<at::Tensor>(list);
    } else if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
        list.push_back(tensor ? std::optional(open(*tensor, write)) : std::nullopt);
      }
      value = list;
    } else if (value.isDevice()) {
      device = device_or_current(value.toDevice());
      value = c10::Device(c10::kCPU);
    }
  }
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  const c10::Device there = device_or_current(device);
  const std::size_t begin = stack->size() - schema.returns().size();
  for (std::size_t i = 0; i < schema.returns().size(); ++i) {
    c10::IValue& value = (*stack)[begin + i];
    const c10::AliasInfo* alias = schema.returns()[i].alias_info();
    if (value.isTensor() && alias != nullptr && alias->isWrite()) {
      for (std::size_t k = 0; k < originals.size(); ++k) {
        const c10::AliasInfo* given = schema.arguments()[k].alias_info();
        if (given != nullptr && *given == *alias) value = originals[k];
      }
    } else if (value.isTensor()) {
      value = brought(value.toTensor(), there, what);
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> list = value.toTensorVector();
      for (at::Tensor& tensor : list) tensor = brought(tensor, there, what);
      value = c10::List<at::Tensor>(list);
    } else {
      watch().host_waits(stream_of(there));  // a number, for the host
    }
  }
}

at::Tensor convolve(const at::Tensor& input, const at::Tensor& weight,
                    const std::optional<at::Tensor>& bias, at::IntArrayRef stride,
                    at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                    at::IntArrayRef output_padding, std::int64_t groups) {
  note(input, false, "convolution");
  note(weight, false, "convolution");
  std::optional<at::Tensor> offset;
  if (bias && bias->defined()) {
    note(*bias, false, "convolution");
    offset = opened(*bias);
  }
  const at::Tensor made = at::convolution(opened(input), opened(weight), offset, stride, padding,
                                          dilation, transposed, output_padding, groups);
  return brought(made, input.device(), "convolution");
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolve_backward(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
    at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
    at::IntArrayRef output_padding, std::int64_t groups, std::array<bool, 3> wanted) {
  constexpr const char* kWhat = "convolution_backward";
  for (const at::Tensor* each : {&gradient, &input, &weight}) note(*each, false, kWhat);
  const auto [to_input, to_weight, to_bias] = at::convolution_backward(
      opened(gradient), opened(input), opened(weight), at::IntArrayRef{weight.size(0)}, stride,
      padding, dilation, transposed, output_padding, groups, wanted);
  const c10::Device device = input.device();
  return {brought(to_input, device, kWhat), brought(to_weight, device, kWhat),
          brought(to_bias, device, kWhat)};
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_cpu>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", &empty);
  library.impl("empty_strided", &empty_strided);
  library.impl("_copy_from", &copy_from);
  library.impl("as_strided", [](const at::Tensor& self, at::IntArrayRef sizes,
                                at::IntArrayRef strides, std::optional<std::int64_t> offset) {
    return at::native::as_strided_tensorimpl(self, sizes, strides, offset);
  });
  library.impl("view", [](const at::Tensor& self, at::IntArrayRef sizes) {
    return at::native::view(self, sizes);
  });
  library.impl("_reshape_alias",
               [](const at::Tensor& self, at::IntArrayRef sizes, at::IntArrayRef strides) {
                 return at::native::_reshape_alias(self, sizes, strides);
               });
  library.impl("convolution_overrideable", &convolve);
  library.impl("convolution_backward_overrideable", &convolve_backward);
}

const bool kRegistered = [] {
  static const c10::impl::DeviceGuardImplRegistrar kRegistrar(kType, new Guard);
  c10::SetAllocator(kType, &DeviceAllocator::instance());
  c10::register_privateuse1_backend("watched");
  at::RegisterPrivateUse1HooksInterface(new Hooks);
  return true;
}();

}  // namespace

c10::Device watched_device(c10::DeviceIndex index) { return {kType, index}; }

std::vector<std::string> take_findings() { return watch().take_findings(); }

std::uint64_t take_bytes_to_host() { return bytes_to_host.exchange(0); }

std::uint64_t take_bytes_from_pinned() { return bytes_from_pinned.exchange(0); }

std::uint64_t peak_bytes() {
  return static_cast<std::uint64_t>(
      DeviceAllocator::instance().getDeviceStats(0).allocated_bytes[0].peak);
}

bool is_pinned(const void* memory) { return PinnedAllocator::instance().owns(memory); }

}  // namespace reprise::engine
