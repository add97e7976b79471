// Synthesis in views/s and fine-tuning in images/s on DeiT-Tiny's shapes, synthesis on those of ViT-B and Swin-T
// (random weights: the arithmetic is the same), beside the machine's matrix rate measured in the same run, so that "of_gemm"
// can be compared between machines, and the most memory that the process held meanwhile. A view is one forward and input
// gradient of one image or crop. EIDOLON_TEST_DEVICE=cuda measures on a GPU. Run with scripts/benchmark.
#include <benchmark/benchmark.h>
#include <mpi.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "cluster/launch/accelerators.h"
#include "finetuning/reconstruction.h"
#include "finetuning/training.h"
#include "job/synthesis_methods.h"
#include "model/families/swin.h"
#include "model/families/vit.h"
#include "numerics/device_graph.h"
#include "numerics/product_precision.h"
#include "quantization/calibration.h"
#include "synthesis/optimization.h"
#include "tests/device/test_device.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

const std::shared_ptr<const Plan>& deit_tiny() {
  static const std::shared_ptr<const Plan> plan = vit_plan({});
  return plan;
}

const Preprocessing imagenet{224, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, 0.9, "bicubic"};

Network random_model(const std::shared_ptr<const Plan>& plan) {
  at::manual_seed(1);
  Network model{plan, {}};
  for (const auto& [name, shape] : model.plan->parameters) {
    const bool norm_weight = name.find("norm") != std::string::npos && name.ends_with("weight");
    model.parameters[name] = norm_weight ? at::ones(shape) : at::randn(shape) * 0.02;
  }
  return model.to(test_device(), at::kFloat);
}

/// FLOP/s of a 1024^3 product in `dtype` on the benchmark's threads, the best of several, measured once.
double gemm_rate(at::ScalarType dtype) {
  static std::map<at::ScalarType, double> rates;
  if (rates.contains(dtype)) return rates[dtype];
  const int64_t side = test_device().is_cpu() ? 1024 : 8192;  // either machine's best
  const Tensor a = at::randn({side, side}).to(test_device(), dtype), b = at::randn({side, side}).to(test_device(), dtype);
  const double flop = 2.0 * static_cast<double>(side * side * side);
  double best = 0;
  for (int round = 0; round < 8; ++round) {
    wait_for_device(test_device());
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 8; ++i) benchmark::DoNotOptimize(at::matmul(a, b));
    wait_for_device(test_device());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 8 * flop / seconds);
  }
  return rates[dtype] = best;
}

/// A device is waited for now and then only, as a run does.
int steps_per_wait() {
  return test_device().is_cpu() ? 1 : 10;
}

void report(benchmark::State& state, const char* name, double per_iteration, double flop_each, at::ScalarType dtype) {
  using benchmark::Counter;
  const double count = per_iteration * static_cast<double>(state.iterations()) * steps_per_wait();
  state.counters[name] = Counter(count, Counter::kIsRate);
  state.counters["gemm_GFLOPs"] = gemm_rate(dtype) / 1e9;
  state.counters["of_gemm"] = Counter(count * flop_each / gemm_rate(dtype), Counter::kIsRate);
}

/// Linux counts anew from now on (proc(5), clear_refs).
void forget_peak_memory() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

double peak_memory_gib() {
  if (!test_device().is_cpu()) return peak_device_megabytes(test_device()) / 1074;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    double kib = 0;
    status >> kib;
    return kib / (1 << 20);
  }
  return 0;
}

void say(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
}

void synthesis(benchmark::State& state, const std::shared_ptr<const Plan>& plan, const char* method, at::ScalarType dtype,
               int64_t images, const Recorder& recorder) {
  forget_peak_memory();
  SynthesisJob job = synthesis_method(method).defaults();
  job.sardfq.prior_weight = 1000.0;
  const SynthesisTeacher teacher{random_model(plan).to(test_device(), dtype), imagenet};
  job.unit_images = images;
  const Unit unit{0, job.unit_images};
  const UnitObjective objective = draw_objective(teacher, job, unit);
  UnitState unit_state = start_unit(teacher, start_pixels(job, teacher.preprocessing, unit));
  StepGraph graph("synthesis", recorder, say);
  const auto iterate = [&] {
    for (int step = 0; step < steps_per_wait(); ++step) {
      if (unit_state.iteration == job.iterations) unit_state.iteration = 0;
      optimise_once(teacher, job, objective, unit_state, &graph);
    }
  };
  gemm_rate(dtype);
  iterate();  // a graph is recorded meanwhile
  for (auto _ : state) {
    iterate();
    wait_for_device(test_device());
  }
  const double views = static_cast<double>(unit.images + objective.semantics.crops());
  report(state, "views/s", views, 4.0 * plan->macs, dtype);
  state.counters["replayed"] = static_cast<double>(graph.replayed());
  state.counters["peak_GiB"] = peak_memory_gib();
}

/// One section in the middle.
void finetuning(benchmark::State& state, const std::shared_ptr<const Plan>& plan, const std::string& precision,
                const Recorder& recorder) {
  const Network teacher = random_model(plan);
  FinetuningJob job;
  SyntheticImages images, none;
  images.bytes = at::randint(0, 256, {16, 3, 224, 224}, at::kLong).to(at::kByte);
  for (int64_t i = 0; i < 16; ++i) {
    images.row_of[i] = i;
    images.global.push_back(i);
  }
  const Student calibrated = calibrate(teacher, scheme_of(research_job(), *plan),
                                       normalise(imagenet, images.bytes.to(test_device())), {.reparameterize = false});
  Student student = calibrated.clone();
  const Communicator communicator = Communicator::world();
  const Models models{.teacher = teacher, .student = student, .calibrated = calibrated};
  const PhaseImages phase_images{.training = images, .held_out = none, .preprocessing = imagenet};
  const Phase phase = reconstruction_phases(job, models, phase_images, communicator, {1 << 30, 1 << 30}).at(6);
  std::vector<Trainable> trainables = phase.begin();
  GradientReducer reducer(parameters_of(trainables), communicator, Reduction::overlapped);
  StepGraph graph(phase.name, recorder, say);
  const ProductPrecision products(precision);
  const auto step_once = [&] { train_step(phase, trainables, reducer, {.images = images.global, .batch = 16}, &graph); };
  gemm_rate(at::kFloat);
  for (int step = 0; step < steps_per_wait(); ++step) step_once();  // a graph is recorded meanwhile
  for (auto _ : state) {
    for (int step = 0; step < steps_per_wait(); ++step) step_once();
    wait_for_device(test_device());
  }
  // One block forward and both gradients.
  report(state, "images/s", 16, 6.0 * plan->macs / 12, at::kFloat);
  state.counters["replayed"] = static_cast<double>(graph.replayed());
  state.counters["peak_GiB"] = peak_memory_gib();
}

}  // namespace
}  // namespace eidolon

int main(int argc, char** argv) {
  using namespace eidolon;
  MPI_Init(&argc, &argv);
  benchmark::Initialize(&argc, argv);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);  // as every run does
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  const bool on_cpu = test_device().is_cpu();
  const auto of_synthesis = [](const std::string& name, const std::shared_ptr<const Plan>& plan, const char* method,
                               at::ScalarType dtype, int64_t images) {
    const auto of = [&](const std::string& kind, const Recorder& recorder) {
      benchmark::RegisterBenchmark(("synthesis" + name + kind).c_str(), [=](benchmark::State& state) {
        synthesis(state, plan, method, dtype, images, recorder);
      })->UseRealTime();
    };
    of("", {});
    const Recorder recorder = graph_recorder(test_device());
    if (recorder && std::string(method) == "views") of("/graph", recorder);  // crops are not recordable
  };
  constexpr int64_t vit_b_width = 768, vit_b_heads = 12;
  const auto vit_b = vit_plan({.width = vit_b_width, .heads = vit_b_heads, .hidden_width = 4 * vit_b_width});
  const auto swin_t = swin_plan({});
  const int64_t images = on_cpu ? 16 : 64;  // a unit
  for (const auto& [name, dtype] : {std::pair{"/fp32", at::kFloat}, std::pair{"/bf16", at::kBFloat16}}) {
    of_synthesis(name, deit_tiny(), "sardfq", dtype, images);
    of_synthesis(std::string("/vit_b") + name, vit_b, "views", dtype, images);
    of_synthesis(std::string("/swin_t") + name, swin_t, "views", dtype, images);
  }
  for (const int64_t count : {8, 16, 32, 128})
    if (!on_cpu) of_synthesis("/vit_b/bf16/images:" + std::to_string(count), vit_b, "views", at::kBFloat16, count);

  const auto of_finetuning = [&](const std::string& name, const std::shared_ptr<const Plan>& plan) {
    for (const std::string& precision : {std::string("fp32"), std::string(on_cpu ? "bf16" : "tf32")}) {
      const auto of = [&](const std::string& kind, const Recorder& recorder) {
        benchmark::RegisterBenchmark(("finetuning" + name + precision + kind).c_str(), [=](benchmark::State& state) {
          finetuning(state, plan, precision, recorder);
        })->UseRealTime();
      };
      of("", {});
      if (const Recorder recorder = graph_recorder(test_device())) of("/graph", recorder);
    }
  };
  of_finetuning("/", deit_tiny());
  if (!on_cpu) of_finetuning("/vit_b/", vit_b);
  benchmark::RunSpecifiedBenchmarks();
  MPI_Finalize();
}
