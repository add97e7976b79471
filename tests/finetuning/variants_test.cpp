// Every way of training on a small real problem: the demo's teacher, whose weights were learnt, at 4 bits.
#include <gtest/gtest.h>

#include <filesystem>

#include "finetuning/reconstruction.h"
#include "finetuning/sampler.h"
#include "finetuning/training.h"
#include "model/loading/teacher.h"
#include "quantization/calibration.h"
#include "tests/finetuning/setting.h"
#include "tests/finetuning/variants.h"
#include "tests/places.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

constexpr int64_t image_count = 48, training_images = 32, batch = 16, iterations = 20;

/// Smooth random images, a function of their index.
SyntheticImages smooth_images(int64_t first, int64_t end) {
  at::manual_seed(3);
  const Tensor coarse = at::randn({image_count, 3, 6, 6});
  const Tensor all = (at::upsample_bilinear2d(coarse, {32, 32}, false) * 80 + 128).clamp(0, 255).to(at::kByte);
  SyntheticImages images;
  images.global = indices(first, end);
  for (const int64_t index : images.global) images.row_of[index] = index - first;
  images.bytes = all.slice(0, first, end).clone();
  return images;
}

struct DemoTeacher : ::testing::Test {
  Communicator communicator = Communicator::world();
  Teacher teacher = read_teacher(testing::source_folder() / "jobs" / "demo" / "teacher");
  SyntheticImages images = smooth_images(0, training_images), held_out = smooth_images(training_images, image_count);
  Student calibrated = calibrate(teacher.model, scheme_of(research_job(), *teacher.model.plan),
                                 normalise(teacher.preprocessing, images.bytes), {});

  /// Squared error per image of the tokens that enter the head, through all quantized blocks, on images not trained on.
  double error(const Student& student) const {
    const at::NoGradGuard no_gradients;
    const Tap tap = quantizing_tap(student);
    Tensor exact = normalise(teacher.preprocessing, held_out.bytes), quantized = exact;
    for (int section = 0; section < teacher.model.plan->section_count() - 1; ++section) {
      exact = forward_section(teacher.model, section, exact);
      quantized = forward_section(student.model, section, quantized, tap);
    }
    return (exact - quantized).square().sum().item<double>() / static_cast<double>(held_out.size());
  }

  Student trained(const FinetuningJob& job) const {
    Student student = calibrated.clone();
    const Sampler sampler(1, training_images, batch, 0, 1);
    const Models models{.teacher = teacher.model, .student = student, .calibrated = calibrated};
    const PhaseImages phase_images{.training = images, .held_out = held_out, .preprocessing = teacher.preprocessing};
    for (const Phase& phase : reconstruction_phases(job, models, phase_images, communicator, plenty)) {
      std::vector<Trainable> trainables = phase.begin();
      GradientReducer reducer(parameters_of(trainables), communicator, Reduction::overlapped);
      for (int64_t step = 0; step < iterations; ++step) {
        const double left = 1.0 - static_cast<double>(step) / static_cast<double>(iterations);
        train_step(phase, trainables, reducer,
                   {.images = sampler.at(step), .batch = batch, .number = step, .rate_factor = left});
      }
      freeze(trainables);
      phase.conclude(trainables);
    }
    return student;
  }
};

TEST_F(DemoTeacher, IsFollowedCloserWithEveryVariantThanByRangesAlone) {
  const double before = error(calibrated);
  EXPECT_GT(before, 0);
  RecordProperty("calibrated", std::to_string(before));
  for (const Variant& variant : variants()) {
    FinetuningJob job = plain_job();
    job.iterations = iterations;
    job.learning_rate = 0.01;
    variant.choose(job);
    const double after = error(trained(job));
    RecordProperty(variant.name, std::to_string(after));
    EXPECT_LT(after, 0.95 * before) << variant.name;
  }
}

TEST_F(DemoTeacher, IsFollowedCloserByCompandedThanByEvenSteps) {
  QuantizationJob job = research_job();
  const Tensor input = normalise(teacher.preprocessing, images.bytes);
  const auto calibrated_error = [&] { return error(calibrate(teacher.model, scheme_of(job, *teacher.model.plan), input, {})); };
  const double companded = calibrated_error();
  job.activation_format = job.attention = "uniform";
  EXPECT_LT(companded, calibrated_error());
}

TEST_F(DemoTeacher, IsTrainedToTheSameBitsTwice) {
  FinetuningJob job = plain_job();
  job.iterations = iterations;
  variants().back().choose(job);
  const TensorMap first = student_tensors(trained(job)), second = student_tensors(trained(job));
  for (const auto& [name, tensor] : first) EXPECT_TRUE(at::equal(tensor, second.at(name))) << name;
}

}  // namespace
}  // namespace eidolon
