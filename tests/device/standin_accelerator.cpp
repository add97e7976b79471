#include "tests/device/standin_accelerator.h"

#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/resize_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/tensor.h"
#include "tests/device/standin_streams.h"

namespace eidolon::standin {
namespace {

constexpr at::DeviceType device_type = at::kPrivateUse1;

// Atomic: autograd runs the backward pass on a thread of its own.
std::atomic<int64_t> scalars_read, copies_to_host, copies_to_device, allocations, operations;

/// True while an operation is carried out by the CPU's kernels. What is copied for it is no copy of the program's.
thread_local bool inside_operation = false;

class InsideOperation {
 public:
  InsideOperation() : before_(std::exchange(inside_operation, true)) {}
  ~InsideOperation() { inside_operation = before_; }
  InsideOperation(const InsideOperation&) = delete;
  InsideOperation& operator=(const InsideOperation&) = delete;

 private:
  bool before_;
};

void count(std::atomic<int64_t>& counter) {
  if (!inside_operation) ++counter;
}

int device_count() {
  const char* const asked = std::getenv("EIDOLON_STANDIN_DEVICES");
  if (asked == nullptr) return 1;
  char* end = nullptr;
  const long count = std::strtol(asked, &end, 10);
  TORCH_CHECK(*asked != '\0' && *end == '\0' && count >= 1 && count <= 64, "EIDOLON_STANDIN_DEVICES=", asked,
              " is no number from 1 to 64");
  return static_cast<int>(count);
}

thread_local c10::DeviceIndex current_device = 0;

at::Device device_or_current(std::optional<at::Device> device) {
  return {device_type, device && device->has_index() ? device->index() : current_device};
}

/// The blocks released last, oldest first. A block begins with its size, in the place of one cache line.
class Released {
 public:
  static constexpr size_t head_bytes = 64, most_blocks = 64, most_bytes = 64 << 20;
  static constexpr unsigned char fill = 0xff;

  void add(char* block) {
    std::memset(block + head_bytes, fill, size_of(block));
    const std::lock_guard lock(mutex_);
    blocks_.push_back(block);
    bytes_ += size_of(block);
    while (blocks_.size() > most_blocks || bytes_ > most_bytes) give_back_oldest();
  }

  int64_t written_to() {
    const std::lock_guard lock(mutex_);
    while (!blocks_.empty()) give_back_oldest();
    return written_to_;
  }

  static size_t size_of(const char* block) {
    size_t bytes = 0;
    std::memcpy(&bytes, block, sizeof bytes);
    return bytes;
  }

 private:
  void give_back_oldest() {
    char* const block = blocks_.front();
    const char* const begin = block + head_bytes;
    // Each byte equals the one before it: memcmp looks at many at a time.
    const bool as_filled = static_cast<unsigned char>(*begin) == fill && std::memcmp(begin, begin + 1, size_of(block) - 1) == 0;
    if (!as_filled) ++written_to_;
    bytes_ -= size_of(block);
    blocks_.pop_front();
    c10::free_cpu(block);
  }

  std::mutex mutex_;
  std::deque<char*> blocks_;
  size_t bytes_ = 0;
  int64_t written_to_ = 0;
};

Released& released() {
  static Released& blocks = *new Released;  // tensors may be released until the very end
  return blocks;
}

void release(void* data) {
  if (data == nullptr) return;
  char* const block = static_cast<char*>(data) - Released::head_bytes;
  after_waits([block] { released().add(block); });
}

class Memory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    ++allocations;
    const at::Device device(device_type, current_device);
    if (bytes == 0) return {nullptr, device};
    auto* const block = static_cast<char*>(c10::alloc_cpu(Released::head_bytes + bytes));
    std::memcpy(block, &bytes, sizeof bytes);
    void* const data = block + Released::head_bytes;
    return {data, data, &release, device};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }
};

Memory memory;
REGISTER_ALLOCATOR(device_type, &memory);

/// Pinned memory is the host's.
class PinnedMemory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, at::kCPU};
    void* const data = c10::alloc_cpu(bytes);
    const std::lock_guard lock(mutex_);
    blocks_.emplace(data, bytes);
    return {data, data, &give_back, at::kCPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }

  bool holds(const void* data) const {
    const std::lock_guard lock(mutex_);
    const auto after = blocks_.upper_bound(data);
    if (after == blocks_.begin()) return false;
    const auto& [begin, bytes] = *std::prev(after);
    return data < static_cast<const char*>(begin) + bytes;
  }

 private:
  static void give_back(void* data);

  mutable std::mutex mutex_;
  std::map<const void*, size_t> blocks_;
};

PinnedMemory& pinned() {
  static PinnedMemory& allocator = *new PinnedMemory;
  return allocator;
}

void PinnedMemory::give_back(void* data) {
  {
    const std::lock_guard lock(pinned().mutex_);
    pinned().blocks_.erase(data);
  }
  c10::free_cpu(data);
}

/// Copies of pinned memory that the host did not wait for. They are made as late as a device may make them: when something
/// waits for the device, or uses it. Until then the target is NaN. So who changes the source too early sends other numbers.
class LateCopies {
 public:
  void add(const at::Tensor& from, const at::Tensor& to) {
    const std::lock_guard lock(mutex_);
    if (to.is_contiguous()) std::memset(to.data_ptr(), Released::fill, to.nbytes());
    copies_.emplace_back(from, to);
    any_ = true;
  }

  void make() {
    if (!any_) return;
    const std::lock_guard lock(mutex_);
    const at::AutoDispatchBelowAutograd without_gradients;
    for (const auto& [from, to] : copies_) seen_by_host(to).copy_(from);
    copies_.clear();
    any_ = false;
  }

  static at::Tensor seen_by_host(const at::Tensor& tensor) {
    return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(),
                         at::TensorOptions().dtype(tensor.dtype()).device(at::kCPU));
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies_;
  std::atomic<bool> any_ = false;
};

LateCopies& late_copies() {
  static LateCopies& copies = *new LateCopies;
  return copies;
}

/// To be called before LibTorch's stream touches memory: waits for what it was told to wait for, and makes what is queued.
void reach_this_operation() {
  catch_up();
  late_copies().make();
}

/// Operations run on LibTorch's own stream, whose work is done when a call returns. Other streams: standin_streams.h.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  Guard() = default;
  explicit Guard(at::DeviceType) {}
  at::DeviceType type() const override { return device_type; }
  at::Device exchangeDevice(at::Device device) const override {
    return {device_type, std::exchange(current_device, device_or_current(device).index())};
  }
  at::Device getDevice() const override { return {device_type, current_device}; }
  void setDevice(at::Device device) const override { current_device = device_or_current(device).index(); }
  void uncheckedSetDevice(at::Device device) const noexcept override { current_device = device_or_current(device).index(); }
  c10::DeviceIndex deviceCount() const noexcept override { return static_cast<c10::DeviceIndex>(device_count()); }
  /// Of LibTorch's own stream alone: nothing waits for a stream of the pool but by its events.
  void synchronizeDevice(c10::DeviceIndex) const override { reach_this_operation(); }

  c10::Stream getStream(at::Device device) const override { return getDefaultStream(device); }
  c10::Stream getDefaultStream(at::Device device) const override {
    return c10::Stream(c10::Stream::DEFAULT, device_or_current(device));
  }
  c10::Stream getStreamFromGlobalPool(at::Device device, bool) const override { return new_stream(device_or_current(device)); }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    TORCH_CHECK(stream.id() == 0, "operations run on LibTorch's own stream alone");
    return stream;
  }
  void* getStreamNativeHandle(const c10::Stream stream) const override { return &queue_of(stream); }
  bool queryStream(const c10::Stream& stream) const override { return all_reached(place_of(stream)); }
  void synchronizeStream(const c10::Stream& stream) const override {
    if (stream.id() == 0) late_copies().make();
    wait(place_of(stream));
  }

  void record(void** event, const c10::Stream& stream, c10::DeviceIndex, c10::EventFlag) const override {
    if (stream.id() == 0) late_copies().make();
    if (*event == nullptr) *event = new Places;
    *static_cast<Places*>(*event) = place_of(stream);
  }
  void block(void* event, const c10::Stream& stream) const override { wait_for(stream, *static_cast<Places*>(event)); }
  bool queryEvent(void* event) const override { return all_reached(*static_cast<Places*>(event)); }
  void synchronizeEvent(void* event) const override { wait(*static_cast<Places*>(event)); }
  void destroyEvent(void* event, c10::DeviceIndex) const noexcept override { delete static_cast<Places*>(event); }

 private:
  static void wait(const Places& places) {
    for (const auto& place : places) place->wait();
  }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  bool isPinnedPtr(const void* data) const override { return pinned().holds(data); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &pinned(); }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    reach_this_operation();
    const c10::DeviceGuard guard(storage.device());
    auto fresh = memory.allocate(bytes);
    if (storage.nbytes() > 0) std::memcpy(fresh.get(), storage.data(), std::min(bytes, storage.nbytes()));
    c10::StorageImpl* const impl = storage.unsafeGetStorageImpl();
    impl->set_data_ptr_noswap(std::move(fresh));
    impl->set_nbytes(bytes);
  }
};

at::Tensor empty_memory_format(c10::IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
                               std::optional<at::Device> device, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  const c10::DeviceGuard guard(device_or_current(device));
  return at::detail::empty_generic(size, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), type.value_or(at::kFloat),
                                   format);
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<at::ScalarType> type,
                         std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>) {
  const c10::DeviceGuard guard(device_or_current(device));
  return at::detail::empty_strided_generic(size, stride, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           type.value_or(at::kFloat));
}

/// The same bytes, seen as a CPU tensor, once what LibTorch's stream waits for is done.
at::Tensor on_host(const at::Tensor& tensor) {
  reach_this_operation();
  return LateCopies::seen_by_host(tensor);
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  const bool from_device = from.is_privateuseone(), to_device = to.is_privateuseone();
  if (from_device && !to_device) count(copies_to_host);
  if (!from_device && to_device) count(copies_to_device);
  const bool is_late = non_blocking && to_device && !from_device && from.is_pinned();
  if (is_late) {
    reach_this_operation();  // what is queued before it comes before it
    late_copies().add(from.detach(), to.detach());
    return to;
  }
  const at::AutoDispatchBelowAutograd without_gradients;
  const at::Tensor source = from_device ? on_host(from) : from;
  at::Tensor target = to_device ? on_host(to) : to;
  target.copy_(source);
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (to.sizes() != from.sizes()) to.resize_(from.sizes());
  return copy_from(from, to, false);
}

at::Scalar local_scalar_dense(const at::Tensor& tensor) {
  count(scalars_read);
  return on_host(tensor).item();
}

at::Tensor as_strided(const at::Tensor& tensor, c10::SymIntArrayRef sizes, c10::SymIntArrayRef strides,
                      std::optional<c10::SymInt> offset) {
  return at::native::as_strided_tensorimpl(tensor, C10_AS_INTARRAYREF_SLOW(sizes), C10_AS_INTARRAYREF_SLOW(strides),
                                           offset ? std::optional<int64_t>(offset->expect_int()) : std::nullopt);
}

at::Tensor reshape_alias(const at::Tensor& tensor, c10::SymIntArrayRef sizes, c10::SymIntArrayRef strides) {
  return as_strided(tensor, sizes, strides, std::nullopt);
}

const at::Tensor& resize(const at::Tensor& tensor, c10::SymIntArrayRef sizes, std::optional<at::MemoryFormat>) {
  const auto wanted = C10_AS_INTARRAYREF_SLOW(sizes);
  int64_t elements = tensor.storage_offset();
  elements += c10::multiply_integers(wanted);
  const auto bytes = static_cast<size_t>(elements) * tensor.element_size();
  if (bytes > tensor.storage().nbytes()) Hooks().resizePrivateUse1Bytes(tensor.storage(), bytes);
  tensor.unsafeGetTensorImpl()->set_sizes_contiguous(wanted);
  return tensor;  // NOLINT(bugprone-return-const-ref-from-parameter): the operator's own signature
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): the operator's own signature
at::Tensor& set_storage(at::Tensor& tensor, at::Storage source, c10::SymInt offset, c10::SymIntArrayRef sizes,
                        c10::SymIntArrayRef strides) {
  return at::native::set_storage_cpu_(tensor, std::move(source), offset.expect_int(), C10_AS_INTARRAYREF_SLOW(sizes),
                                      C10_AS_INTARRAYREF_SLOW(strides));
}

at::Tensor on_device(const at::Tensor& tensor, const at::Device& device) {
  return tensor.defined() ? tensor.to(device) : tensor;
}

/// Runs `work` as one operation of the device.
template <class Work>
auto as_one_operation(Work work) {
  const at::AutoDispatchBelowAutograd without_gradients;
  const InsideOperation inside;
  return work();
}

// Convolutions have an entry of their own for backends that are not LibTorch's (aten/src/ATen/native/Convolution.cpp).
at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                       c10::SymIntArrayRef stride, c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation, bool transposed,
                       c10::SymIntArrayRef output_padding, c10::SymInt groups) {
  return as_one_operation([&] {
    const std::optional<at::Tensor> host_bias = bias && bias->defined() ? std::optional(on_host(*bias)) : std::nullopt;
    return on_device(at::convolution_symint(on_host(input), on_host(weight), host_bias, stride, padding, dilation, transposed,
                                            output_padding, groups),
                     input.device());
  });
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(const at::Tensor& gradient, const at::Tensor& input,
                                                                    const at::Tensor& weight, c10::SymIntArrayRef stride,
                                                                    c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation,
                                                                    bool transposed, c10::SymIntArrayRef output_padding,
                                                                    c10::SymInt groups, std::array<bool, 3> wanted) {
  return as_one_operation([&] {
    const c10::SymInt outputs = weight.sym_size(0);
    const auto [of_input, of_weight, of_bias] =
        at::convolution_backward_symint(on_host(gradient), on_host(input), on_host(weight), c10::SymIntArrayRef(&outputs, 1),
                                        stride, padding, dilation, transposed, output_padding, groups, wanted);
    const at::Device device = input.device();
    return std::tuple(on_device(of_input, device), on_device(of_weight, device), on_device(of_bias, device));
  });
}

/// As CUDA does: a CPU tensor of one number may stand beside tensors of the device, and no other.
void refuse_mixture(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  bool device = false;
  std::string host;
  const auto look = [&](const at::Tensor& tensor) {
    if (!tensor.defined()) return;
    if (tensor.is_privateuseone()) device = true;
    if (tensor.is_cpu() && tensor.dim() > 0) host = tensor.toString() + c10::str(tensor.sizes());
  };
  for (const c10::IValue& value : torch::jit::last(*stack, operation.schema().arguments().size())) {
    if (value.isTensor()) look(value.toTensor());
    if (value.isTensorList()) {
      for (const at::Tensor& tensor : value.toTensorVector()) look(tensor);
    }
  }
  TORCH_CHECK(!device || host.empty(), operation.schema().name(), " mixes tensors of the device with ", host);
}

void by_the_cpu(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  refuse_mixture(operation, stack);
  count(operations);
  const InsideOperation inside;
  at::native::cpu_fallback(operation, stack);
}

/// Only where a test asks for it: beside it LibTorch would take no other accelerator for its own, and CUDA's backward passes
/// would fail. With EIDOLON_STANDIN_REPORT in the environment, a process says at its end what it did. The tests of whole
/// programs see by it that the device was used.
struct Registration {
  Registration() {
    const char* const kind = std::getenv("EIDOLON_TEST_DEVICE");
    if (kind == nullptr || std::string(kind) != "standin") return;
    at::RegisterPrivateUse1HooksInterface(new Hooks());
    c10::register_privateuse1_backend("standin");
  }
  ~Registration() {
    if (std::getenv("EIDOLON_STANDIN_REPORT") == nullptr) return;
    const Counts all = counts();
    std::fprintf(stderr,
                 "standin: %ld scalars read, %ld copies to the host, %ld to the device, %ld allocations, %ld operations\n",
                 all.scalars_read, all.copies_to_host, all.copies_to_device, all.allocations, all.operations);
  }
} registration;

}  // namespace

Counts counts() {
  return {scalars_read, copies_to_host, copies_to_device, allocations, operations};
}

int64_t writes_to_released_memory() {
  return released().written_to();
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&by_the_cpu>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", empty_memory_format);
  library.impl("empty_strided", empty_strided);
  library.impl("_copy_from", copy_from);
  library.impl("_copy_from_and_resize", copy_from_and_resize);
  library.impl("_local_scalar_dense", local_scalar_dense);
  library.impl("view", [](const at::Tensor& tensor, c10::IntArrayRef sizes) { return at::native::view(tensor, sizes); });
  library.impl("as_strided", as_strided);
  library.impl("_reshape_alias", reshape_alias);
  library.impl("resize_", resize);
  library.impl("convolution_overrideable", convolution);
  library.impl("convolution_backward_overrideable", convolution_backward);
  library.impl("set_.source_Storage_storage_offset", set_storage);
}

}  // namespace eidolon::standin
