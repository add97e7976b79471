#include "tests/device/standin_accelerator.h"

#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/resize_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "base/tensor.h"

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

class Memory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    ++allocations;
    void* data = bytes > 0 ? c10::alloc_cpu(bytes) : nullptr;
    return {data, data, &c10::free_cpu, at::Device(device_type, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &c10::free_cpu; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }
};

Memory memory;
REGISTER_ALLOCATOR(device_type, &memory);

/// One device with one stream, whose work is done when a call returns.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  Guard() = default;
  explicit Guard(at::DeviceType) {}
  at::DeviceType type() const override { return device_type; }
  at::Device exchangeDevice(at::Device) const override { return {device_type, 0}; }
  at::Device getDevice() const override { return {device_type, 0}; }
  void setDevice(at::Device) const override {}
  void uncheckedSetDevice(at::Device) const noexcept override {}
  c10::Stream getStream(at::Device device) const override { return c10::Stream(c10::Stream::DEFAULT, device); }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  void synchronizeDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    auto fresh = memory.allocate(bytes);
    if (storage.nbytes() > 0) std::memcpy(fresh.get(), storage.data(), std::min(bytes, storage.nbytes()));
    c10::StorageImpl* const impl = storage.unsafeGetStorageImpl();
    impl->set_data_ptr_noswap(std::move(fresh));
    impl->set_nbytes(bytes);
  }
};

at::Tensor empty_memory_format(c10::IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
                               std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), type.value_or(at::kFloat),
                                   format);
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<at::ScalarType> type,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           type.value_or(at::kFloat));
}

/// The same bytes, seen as a CPU tensor.
at::Tensor on_host(const at::Tensor& tensor) {
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(),
                       at::TensorOptions().dtype(tensor.dtype()).device(at::kCPU));
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  const bool from_device = from.is_privateuseone(), to_device = to.is_privateuseone();
  if (from_device && !to_device) count(copies_to_host);
  if (!from_device && to_device) count(copies_to_device);
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

at::Tensor on_device(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.to(at::Device(device_type, 0)) : tensor;
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
                                            output_padding, groups));
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
    return std::tuple(on_device(of_input), on_device(of_weight), on_device(of_bias));
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
