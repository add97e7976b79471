// Synthesis in views/s and fine-tuning in images/s on DeiT-Tiny's shapes (random weights: the arithmetic is the same), beside
// the machine's matrix rate measured in the same run, so that "of_gemm" can be compared between machines. A view is one forward
// and input gradient of one image or crop. Run with scripts/benchmark.
#include <benchmark/benchmark.h>
#include <mpi.h>

#include "finetuning/reconstruction.h"
#include "finetuning/training.h"
#include "job/synthesis_methods.h"
#include "model/families/vit.h"
#include "quantization/calibration.h"
#include "synthesis/optimization.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

const std::shared_ptr<const Plan>& deit_tiny() {
  static const std::shared_ptr<const Plan> plan = vit_plan({});
  return plan;
}

const Preprocessing imagenet{224, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, 0.9, "bicubic"};

Network random_model() {
  at::manual_seed(1);
  Network model{deit_tiny(), {}};
  for (const auto& [name, shape] : model.plan->parameters) {
    const bool norm_weight = name.find("norm") != std::string::npos && name.ends_with("weight");
    model.parameters[name] = norm_weight ? at::ones(shape) : at::randn(shape) * 0.02;
  }
  return model;
}

/// FLOP/s of a 1024^3 product in `dtype` on the benchmark's threads, the best of several, measured once.
double gemm_rate(at::ScalarType dtype) {
  static std::map<at::ScalarType, double> rates;
  if (rates.contains(dtype)) return rates[dtype];
  const Tensor a = at::randn({1024, 1024}).to(dtype), b = at::randn({1024, 1024}).to(dtype);
  double best = 0;
  for (int round = 0; round < 8; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 8; ++i) benchmark::DoNotOptimize(at::matmul(a, b));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 8 * 2.0 * 1024 * 1024 * 1024 / seconds);
  }
  return rates[dtype] = best;
}

void report(benchmark::State& state, const char* name, double per_iteration, double flop_each, at::ScalarType dtype) {
  using benchmark::Counter;
  const double count = per_iteration * static_cast<double>(state.iterations());
  state.counters[name] = Counter(count, Counter::kIsRate);
  state.counters["gemm_GFLOPs"] = gemm_rate(dtype) / 1e9;
  state.counters["of_gemm"] = Counter(count * flop_each / gemm_rate(dtype), Counter::kIsRate);
}

void synthesis(benchmark::State& state, at::ScalarType dtype) {
  SynthesisJob job = synthesis_method("sardfq").defaults();
  job.sardfq.prior_weight = 1000.0;
  const SynthesisTeacher teacher{random_model().to(at::kCPU, dtype), imagenet};
  const Unit unit{0, job.unit_images};
  const UnitObjective objective = draw_objective(teacher, job, unit);
  UnitState unit_state = start_unit(teacher, job, unit);
  gemm_rate(dtype);
  for (auto _ : state) optimise_once(teacher, job, objective, unit_state);
  const double views = static_cast<double>(unit.images + objective.semantics.crops());
  report(state, "views/s", views, 4.0 * deit_tiny()->macs, dtype);
}

void finetuning(benchmark::State& state) {
  const Network teacher = random_model();
  FinetuningJob job;
  SyntheticImages images, none;
  images.bytes = at::randint(0, 256, {16, 3, 224, 224}, at::kLong).to(at::kByte);
  for (int64_t i = 0; i < 16; ++i) {
    images.row_of[i] = i;
    images.global.push_back(i);
  }
  const Student calibrated =
      calibrate(teacher, scheme_of(research_job(), *deit_tiny()), normalise(imagenet, images.bytes), {.reparameterize = false});
  Student student = calibrated.clone();
  const Communicator communicator = Communicator::world();
  const Models models{.teacher = teacher, .student = student, .calibrated = calibrated};
  const PhaseImages phase_images{.training = images, .held_out = none, .preprocessing = imagenet};
  const Phase phase = reconstruction_phases(job, models, phase_images, communicator, int64_t{1} << 30).at(6);
  std::vector<Trainable> trainables = phase.begin();
  GradientReducer reducer(parameters_of(trainables), communicator, Reduction::overlapped);
  gemm_rate(at::kFloat);
  for (auto _ : state) train_step(phase, trainables, reducer, {.images = images.global, .batch = 16});
  // One block forward and both gradients.
  report(state, "images/s", 16, 6.0 * deit_tiny()->macs / 12, at::kFloat);
}

}  // namespace
}  // namespace eidolon

int main(int argc, char** argv) {
  using namespace eidolon;
  MPI_Init(&argc, &argv);
  benchmark::Initialize(&argc, argv);
  benchmark::RegisterBenchmark("synthesis/fp32", [](benchmark::State& s) { synthesis(s, at::kFloat); })->UseRealTime();
  benchmark::RegisterBenchmark("synthesis/bf16", [](benchmark::State& s) { synthesis(s, at::kBFloat16); })->UseRealTime();
  benchmark::RegisterBenchmark("finetuning/block", finetuning)->UseRealTime();
  benchmark::RunSpecifiedBenchmarks();
  MPI_Finalize();
}
