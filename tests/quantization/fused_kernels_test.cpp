// Rounding on a device beside the CPU's, and the CUDA source of the formats, compiled for the host.
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "quantization/quantizer.h"
#include "quantization/run_rounding.h"
#include "tests/device/test_device.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

/// Values of all sizes, ties, both zeros, what is clamped, and NaN.
Tensor difficult_values() {
  at::manual_seed(23);
  std::vector<float> special{0.0f,    -0.0f, 0.5f,   -0.5f,  1.5f,   2.5f, -2.5f, 1e-30f,
                             -1e-30f, 1e30f, -1e30f, 448.0f, 464.0f, 6.0f, 5.0f};
  special.push_back(std::numeric_limits<float>::quiet_NaN());
  return at::cat({at::tensor(special), at::randn({2000}) * 3, at::randn({2032}) * 0.01}).reshape({16, -1});
}

Quantizer quantizer_of(const Format& format, const Scaling& scaling, int64_t scales) {
  Quantizer quantizer;
  quantizer.spec = {.format = &format, .bits = format.fixed_bits > 0 ? format.fixed_bits : 4, .scaling = scaling};
  quantizer.scale = at::linspace(0.05, 0.4, scales);
  quantizer.zero_point = format.has_zero_point ? at::full({scales}, 5.0) : at::zeros({scales});
  if (format.is_companded) quantizer.companding = at::full({scales}, 2.0);
  return quantizer;
}

struct Rounded {
  Tensor y, gradient;
};

Rounded rounded_on(at::Device device, const Tensor& values, const Quantizer& quantizer) {
  const Tensor x = values.to(device).detach().requires_grad_(true);
  const Quantizer there = quantizer.with([&](const Tensor& tensor) { return tensor.to(device); });
  const Tensor y = fake_quantize(x, there);
  Tensor plain;
  {
    const at::NoGradGuard no_gradients;
    plain = fake_quantize(x, there);
  }
  EXPECT_TRUE(at::allclose(plain.cpu(), y.detach().cpu(), 0, 0, /*equal_nan=*/true)) << quantizer.spec.format->name;
  const Tensor weights = at::linspace(-1, 1, values.numel()).reshape(values.sizes()).to(device);
  return {y.detach().cpu(), torch::autograd::grad({(y * weights).sum()}, {x})[0].cpu()};
}

/// exp2 and log2 of a device may differ from the CPU's in their last bit, and with it, at a tie, the index that is nearest.
bool is_exact(const Format& format) {
  return format.is_uniform || format.fixed_bits > 0;
}

int64_t differing(const Tensor& a, const Tensor& b, double tolerance) {
  return at::isclose(a, b, tolerance, 0, /*equal_nan=*/true).logical_not().sum().item<int64_t>();
}

class OnTheDevice : public ::testing::TestWithParam<std::string> {};

TEST_P(OnTheDevice, FakeQuantizeIsThatOfTheCpu) {
  const Format& format = format_named(GetParam(), "the test");
  const Tensor values = difficult_values();
  for (const Scaling& scaling : {per_tensor, per_channel(0), per_block(-1, 16, ScaleFormat::e8m0, /*from_values=*/true)}) {
    if (scaling.from_values && format.fixed_bits == 0) continue;
    const Tensor finite = scaling.from_values ? values.nan_to_num(0).clamp(-1e3, 1e3) : values;
    const Quantizer quantizer = quantizer_of(format, scaling, scale_count(scaling, values.sizes()));
    const Rounded here = rounded_on(at::kCPU, finite, quantizer), there = rounded_on(test_device(), finite, quantizer);
    const double tolerance = is_exact(format) ? 0 : 1e-6;
    const int64_t ties = is_exact(format) || test_device().is_cpu() ? 0 : values.numel() / 1000;
    EXPECT_LE(differing(there.y, here.y, tolerance), ties) << name_of(scaling.granularity);
    EXPECT_LE(differing(there.gradient, here.gradient, tolerance), ties) << name_of(scaling.granularity);
  }
}

std::vector<std::string> names_of_formats() {
  std::vector<std::string> names;
  for (const Format* format : all_formats()) names.push_back(format->name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Formats, OnTheDevice, ::testing::ValuesIn(names_of_formats()),
                         [](const auto& name) { return name.param; });

/// x in the shape in which a format sees it: blocks are an axis of their own.
Tensor as_rounded(const Tensor& values, const Scaling& scaling) {
  return scaling.granularity == Granularity::block ? to_blocks(values, scaling) : values;
}

TEST(RunRounding, IsWhatTheOperationsGiveOneByOne) {
  const Tensor values = difficult_values();
  for (const Format* format : all_formats()) {
    for (const Scaling& scaling : {per_tensor, per_channel(0), per_channel(1), per_block(-1, 16)}) {
      const Tensor x = as_rounded(values, scaling);
      const Grid grid = grid_of(quantizer_of(*format, scaling, scale_count(scaling, values.sizes())), x.sizes(), at::kFloat);
      for (const Tensor& given : {x, x.transpose(0, 1).contiguous().transpose(0, 1)}) {
        const auto found = rounded_in_runs(given, grid, *format, /*with_slope=*/true);
        const bool neighbours = scaling.granularity != Granularity::channel || scaling.axis == 0;
        ASSERT_EQ(found.has_value(), format->round_run != nullptr && neighbours && x.is_cpu()) << format->name;
        if (!found) continue;
        const Tensor index = format->nearest(x, grid);
        const Tensor clamped = at::clamp_min(index, grid.lowest).clamp_max(grid.highest);
        EXPECT_TRUE(at::equal(found->back(), index.eq(clamped).to(at::kFloat)));
        EXPECT_TRUE(at::allclose(found->front(), format->value_(clamped.clone(), grid), 0, 0, /*equal_nan=*/true));
        const auto values_alone = rounded_in_runs(given, grid, *format, /*with_slope=*/false);
        EXPECT_TRUE(at::allclose(values_alone->front(), found->front(), 0, 0, /*equal_nan=*/true));
      }
    }
  }
}

TEST(RunRounding, ThreadsShareLongRunsAndShortOnes) {
  at::manual_seed(24);
  const Format& uniform = format_named("uniform", "the test");
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{3, 100'003}, {40'001, 7}}) {
    const Tensor x = at::randn({rows, columns});
    const Grid grid = grid_of(quantizer_of(uniform, per_channel(0), rows), x.sizes(), at::kFloat);
    const Tensor expected = uniform.value_(uniform.nearest(x, grid).clamp_min_(grid.lowest).clamp_max_(grid.highest), grid);
    const int threads = at::get_num_threads();
    at::set_num_threads(2);
    const auto found = rounded_in_runs(x, grid, uniform, /*with_slope=*/false);
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(found.value().front(), expected)) << rows;
  }
}

using Kernel = void (*)(const float*, int64_t, float, float, float, float, float*, float*);

/// The format's CUDA functions as the host's compiler takes them.
Kernel compiled_for_host(const Format& format, const std::filesystem::path& folder) {
  const std::filesystem::path source = folder / (format.name + ".cpp"), library = folder / (format.name + ".so");
  std::ofstream(source) << "#include <cmath>\n#include <cstdint>\nusing namespace std;\n"
                        << format.cuda_code
                        << "extern \"C\" void run(const float* x, int64_t n, float s, float m, float lowest, float highest,\n"
                        << "                      float* y, float* dy) {\n"
                        << "  for (int64_t i = 0; i < n; ++i) {\n"
                        << "    const float index = nearest<float>(x[i], s, m), raised = index < lowest ? lowest : index;\n"
                        << "    y[i] = value<float>(raised > highest ? highest : raised, s, m, highest);\n"
                        << "    dy[i] = index >= lowest && index <= highest ? slope<float>(x[i], y[i], s) : 0;\n"
                        << "  }\n}\n";
  const std::string command =
      "c++ -std=c++17 -O1 -ffp-contract=off -shared -fPIC -o " + library.string() + " " + source.string();
  EXPECT_EQ(std::system(command.c_str()), 0) << format.name;
  void* const handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  EXPECT_NE(handle, nullptr) << format.name;
  return handle == nullptr ? nullptr : reinterpret_cast<Kernel>(dlsym(handle, "run"));
}

TEST(CudaCode, CompiledForTheHostRoundsLikeTheReference) {
  const testing::TemporaryFolder folder;
  const Tensor values = difficult_values();
  for (const Format* format : all_formats()) {
    const Quantizer quantizer = quantizer_of(*format, per_tensor, 1);
    const Grid grid = grid_of(quantizer, values.sizes(), at::kFloat);
    const Kernel kernel = compiled_for_host(*format, folder.path());
    ASSERT_NE(kernel, nullptr);
    Tensor y = at::empty_like(values), slope = at::empty_like(values);
    kernel(values.const_data_ptr<float>(), values.numel(), grid.scale.item<float>(),
           format->is_companded ? grid.companding.item<float>() : 0, grid.lowest.item<float>(), grid.highest.item<float>(),
           y.mutable_data_ptr<float>(), slope.mutable_data_ptr<float>());
    const Tensor x = values.clone().requires_grad_(true), expected = fake_quantize(x, quantizer);
    const Tensor gradient = torch::autograd::grad({expected.sum()}, {x})[0];
    const double tolerance = is_exact(*format) ? 0 : 1e-6;
    EXPECT_TRUE(at::allclose(y, expected, tolerance, 0, /*equal_nan=*/true)) << format->name;
    // At NaN one says that nothing was clamped, the other that all was; either way NaN stays in the loss.
    const Tensor numbers = at::isnan(values).logical_not();
    EXPECT_TRUE(at::allclose(slope.masked_select(numbers), gradient.masked_select(numbers), tolerance, 0)) << format->name;
  }
}

}  // namespace
}  // namespace eidolon
