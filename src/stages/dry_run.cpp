#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <system_error>
#include <vector>

#include "cluster/launch/accelerators.h"
#include "cluster/log.h"
#include "cluster/on_root.h"
#include "finetuning/sampler.h"
#include "finetuning/training.h"
#include "job/mixture.h"
#include "job/synthesis_methods.h"
#include "numerics/operator_trace.h"
#include "numerics/product_precision.h"
#include "quantization/calibration.h"
#include "reporting/result.h"
#include "stages/generator_training.h"
#include "stages/labelled_set.h"
#include "stages/section_caches.h"
#include "stages/stages.h"
#include "stages/stopwatch.h"
#include "synthesis/optimization.h"
#include "synthesis/start.h"

namespace eidolon {
namespace {

constexpr int timed_iterations = 3;
constexpr int64_t most_rehearsed = 32;  ///< images of a reconstruction step

/// The seconds that `work` takes `times` over, until the device has done it.
template <class Work>
double seconds_of(const RunContext& context, int64_t times, Work work) {
  wait_for_device(context.device());
  const Stopwatch watch;
  for (int64_t i = 0; i < times; ++i) work();
  wait_for_device(context.device());
  return watch.seconds();
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) throw BadInput("--profile: cannot make the folder " + folder.string() + ": " + error.message());
}

/// Rank 0's traces of what is rehearsed.
struct Profile {
  const RunContext& context;
  std::filesystem::path folder;  ///< empty: none are asked for
  std::vector<std::string> files = {};

  /// All ranks do the work, which may be collective.
  void trace(const std::string& stage, const std::function<void()>& work) {
    if (folder.empty()) return;
    if (!context.cluster.is_root()) return work();
    const std::filesystem::path file = folder / (stage + ".json");
    const auto to_its_end = [&] {
      work();
      wait_for_device(context.device());
    };
    wait_for_device(context.device());  // or the trace has what was queued before, and loses what is still queued behind it
    trace_operators(context.device(), file, to_its_end);
    files.push_back(file.string());
  }
};

struct Estimate {
  double seconds = 0;
  double disk_megabytes = 0;
};

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char line[512];
  std::snprintf(line, sizeof line, pattern, values...);
  return line;
}

std::string line_of(const char* stage, const Estimate& estimate, const std::string& what) {
  return format("  %-11s %9.1f min  %8.1f MB on disk  %s\n", stage, estimate.seconds / 60, estimate.disk_megabytes,
                what.c_str());
}

/// Peak resident memory of this process so far, in MB, as Linux states it; 0 where it does not.
double peak_memory_megabytes() {
  std::ifstream lines("/proc/self/status");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

double parameter_count(const Network& network) {
  double count = 0;
  for (const auto& [name, tensor] : network.parameters) count += static_cast<double>(tensor.numel());
  return count;
}

/// Of all rounds; with an opponent a step takes a second network, which costs about as much as the first.
double steps_of_all_rounds(const SynthesisJob& job) {
  constexpr double networks = 2;
  const auto cycles = static_cast<double>(cycles_of(job));
  return static_cast<double>(job.iterations) + cycles * networks * static_cast<double>(job.psaq_v2.iterations);
}

Estimate time_synthesis(const RunContext& context, Profile& profile) {
  const SynthesisJob& job = context.job.synthesis;
  const std::vector<Unit> units = units_of(job);
  const auto ranks = static_cast<size_t>(context.cluster.size());
  const Plan& plan = *context.teacher.model.plan;
  const double image_megabytes = static_cast<double>(plan.channels * plan.image_size * plan.image_size) / 1e6;
  const auto rounds = static_cast<double>(1 + cycles_of(job));
  Estimate estimate{0, rounds * static_cast<double>(units.size()) * static_cast<double>(job.unit_images) * image_megabytes};
  if (images_are_starts(job)) return estimate;
  if (trains_generator(job)) {
    estimate.seconds = seconds_of_generator_step(context) * static_cast<double>(job.iterations);
    return estimate;
  }

  const int64_t iterations = iterations_of(job);
  const SynthesisTeacher teacher = context.synthesis_teacher();
  const Unit unit{0, job.unit_images};
  const UnitObjective objective = draw_objective(teacher, job, unit);
  UnitState state = start_unit(teacher, start_pixels(job, teacher.preprocessing, unit));
  optimise_once(teacher, job, objective, state);  // the first also warms up
  const int64_t count = std::clamp<int64_t>(iterations - 1, 0, timed_iterations);
  const double seconds = seconds_of(context, count, [&] { optimise_once(teacher, job, objective, state); });
  profile.trace("synthesize", [&] { optimise_once(teacher, job, objective, state); });
  const double per_iteration = seconds / static_cast<double>(std::max<int64_t>(count, 1));
  const auto optimised =
      static_cast<size_t>(std::ranges::count_if(units, [&](const Unit& one) { return is_optimised(job, one); }));
  const size_t most_units = (optimised + ranks - 1) / ranks;  // of one rank
  estimate.seconds = per_iteration * steps_of_all_rounds(job) * static_cast<double>(most_units);
  return estimate;
}

/// One training step of a phase in the middle, the third, on images as they start.
void trace_training_step(const RunContext& context, const Network& teacher, const Student& calibrated, Profile& profile) {
  FinetuningJob job = context.job.finetuning;
  const bool needs_generator = job.method == "distill" && has_entry(job.distill.images, "generator");
  if (profile.folder.empty() || job.method == "none" || needs_generator) return;
  job.distill.iterations = 0;  // a section's step is the one that most time goes into
  const Communicator& communicator = context.cluster.communicator;
  const Sampler sampler(job.seed, job.batch, job.batch, communicator.rank(), communicator.size());
  SyntheticImages images{.global = sampler.own_images(), .bytes = {}, .row_of = {}};
  for (const int64_t image : images.global) images.row_of[image] = static_cast<int64_t>(images.row_of.size());
  const Unit starts{images.global.empty() ? 0 : images.global.front(), std::max<int64_t>(images.size(), 1)};
  const Preprocessing& preprocessing = context.teacher.preprocessing;
  images.bytes =
      to_bytes(preprocessing, start_pixels(context.job.synthesis, preprocessing, starts)).narrow(0, 0, images.size());

  Student student = calibrated.clone();
  const SyntheticImages none;
  const std::vector<Phase> phases =
      phases_of(job, {.teacher = teacher, .student = student, .calibrated = calibrated},
                {.training = images, .held_out = none, .preprocessing = preprocessing}, communicator, section_caches(context));
  const Phase& phase = phases[phases.size() / 2];
  std::vector<Trainable> trainables = phase.begin();
  GradientReducer reducer(parameters_of(trainables), communicator, Reduction::overlapped);
  const ProductPrecision products(job.precision.value());
  const auto step = [&](int64_t number) {
    train_step(phase, trainables, reducer, {.images = sampler.at(number), .batch = sampler.batch(), .number = number});
  };
  step(0);
  step(1);
  profile.trace("finetune", [&] { step(2); });
}

Estimate time_finetuning(const RunContext& context, Profile& profile) {
  const FinetuningJob& job = context.job.finetuning;
  const Network teacher = context.teacher_on_device();
  const int64_t ranks = context.cluster.size(), local = std::max<int64_t>((job.batch + ranks - 1) / ranks, 1);
  // Reconstruction never holds the whole network's activations of a whole batch, so neither does its rehearsal.
  const bool distils = job.method == "distill" || job.distill.iterations > 0;
  const int64_t rehearsed = distils ? local : std::min(local, most_rehearsed);
  const Tensor images = start_pixels(context.job.synthesis, context.teacher.preprocessing, {0, rehearsed}).to(context.device());
  Student student = calibrate(teacher, scheme_of(context.job.quantization, *teacher.plan), images, {.reparameterize = false});
  trace_training_step(context, teacher, student, profile);
  for (auto& [name, parameter] : student.model.parameters) parameter.requires_grad_(true);

  // A whole pass forward and back is what one distillation step, or one reconstruction step of every section, costs.
  const ProductPrecision products(job.precision.value());
  const auto step = [&] { torch::autograd::backward({forward(student.model, images, quantizing_tap(student)).sum()}, {}); };
  const double per_step = seconds_of(context, timed_iterations, step) / timed_iterations * static_cast<double>(local) /
                          static_cast<double>(rehearsed);
  const double checkpoints = static_cast<double>(context.job.run.keep_checkpoints + 1) * parameter_count(teacher) * 4 / 1e6;
  const int64_t behind = job.method == "blockwise" ? job.distill.iterations : 0;
  const auto rounds = static_cast<double>(1 + cycles_of(context.job.synthesis));
  return {job.method == "none" ? 0 : rounds * per_step * static_cast<double>(job.iterations + behind), rounds * checkpoints};
}

Estimate time_evaluation(const RunContext& context, size_t images, Profile& profile) {
  at::NoGradGuard no_grad;
  const Network teacher = context.teacher_on_device();
  const Unit unit{0, std::min<int64_t>(context.job.evaluation.batch, 8)};
  const Tensor batch = start_pixels(context.job.synthesis, context.teacher.preprocessing, unit).to(context.device());
  const double seconds = seconds_of(context, timed_iterations, [&] { forward(teacher, batch); });
  profile.trace("evaluate", [&] { forward(teacher, batch); });
  const double per_image = seconds / timed_iterations / static_cast<double>(unit.images);
  constexpr double passes = 5;  // teacher, and two students that each cost about two teachers
  return {passes * per_image * static_cast<double>(images) / context.cluster.size(), 0};
}

}  // namespace

ExitCode dry_run(RunContext& context, const LabelledSet& labelled_set, const std::filesystem::path& traces) {
  const Job& job = context.job;
  const Plan& plan = *context.teacher.model.plan;
  const size_t labelled = labelled_set.images.size();
  Profile profile{context, traces};
  on_root(context.cluster.communicator, [&] { make_folder(traces); });
  const Estimate synthesis = time_synthesis(context, profile), finetuning = time_finetuning(context, profile);
  const Estimate evaluation = time_evaluation(context, labelled, profile);
  context.cluster.communicator.barrier();

  const size_t units = units_of(job.synthesis).size();
  const int64_t cycles = cycles_of(job.synthesis);
  const bool idle = static_cast<size_t>(context.cluster.size()) > units;
  std::string text = job.file.string() + ": nothing was written" + (traces.empty() ? "" : " but traces") + "\n";
  text += format("  teacher     %s, %.1f M parameters, %.2f G multiply-adds an image, image %ld, %ld %s\n", plan.family.c_str(),
                 parameter_count(context.teacher.model) / 1e6, plan.macs / 1e9, static_cast<long>(plan.image_size),
                 static_cast<long>(plan.output.size), plan.output.kind == Output::Kind::classes ? "classes" : "features");
  text += format("  ranks       %d, %s, %ld threads each%s\n", context.cluster.size(), job.run.device.value().c_str(),
                 static_cast<long>(job.run.threads.value()), idle ? " (more ranks than units: some will be idle)" : "");
  text += line_of("synthesis", synthesis,
                  std::to_string(units) + " units of " + std::to_string(job.synthesis.unit_images) + " images" +
                      (cycles > 0 ? ", " + std::to_string(cycles + 1) + " rounds" : ""));
  text += line_of("fine-tuning", finetuning,
                  job.finetuning.method + ", " + std::to_string(job.finetuning.iterations) + " iterations");
  text += line_of("evaluation", evaluation, std::to_string(labelled) + " labelled images");
  if (const double peak = peak_memory_megabytes(); peak > 0)
    text += format("  memory      %.0f MB at the peak of this rehearsal, per rank\n", peak);
  if (const int64_t caches = section_cache_megabytes(context); caches > 0)
    text += format("  caches      %ld MB of sections' inputs and targets besides, per rank; run.cache_megabytes = %ld%s\n",
                   static_cast<long>(caches), static_cast<long>(job.run.cache_megabytes),
                   caches > job.run.cache_megabytes ? " does not hold them: it will be slow" : "");
  if (const double peak = peak_device_megabytes(context.device()); peak > 0)
    text += format("  on device   %.0f MB at the peak of this rehearsal, per rank\n", peak);
  constexpr size_t stages = 3;
  if (!traces.empty() && profile.files.size() < stages)
    text += "  trace       none of a stage without iterations, nor where a generator makes the images\n";
  for (const std::string& file : profile.files) text += "  trace       " + file + "\n";
  on_root(context.cluster.communicator, [&] { print_result(text); });
  return ExitCode::done;
}

}  // namespace eidolon
