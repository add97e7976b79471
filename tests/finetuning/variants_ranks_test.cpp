// Every way of training gives the loss and the gradients of one process, for any number of ranks.
#include <gtest/gtest.h>

#include "finetuning/reconstruction.h"
#include "finetuning/sampler.h"
#include "finetuning/training.h"
#include "tests/finetuning/setting.h"
#include "tests/finetuning/variants.h"

namespace eidolon {
namespace {

constexpr int64_t image_count = 16, batch = 8;

double largest_difference(const Tensor& a, const Tensor& b) {
  return ((a - b).abs().max() / (b.abs().max() + 1e-12)).item<double>();
}

/// The gradients of a step of the shared training against those of the whole batch on this rank alone.
/// The bounds leave room for a rounding that flips with the last bits of a matrix product.
void expect_agreement(const Setting& setting, const Phase& shared, const Phase& alone, int64_t step, const Sampler& sampler) {
  std::vector<Trainable> trainables = shared.begin();
  GradientReducer reducer(parameters_of(trainables), setting.communicator, Reduction::overlapped);
  reducer.zero();
  const std::vector<int64_t> own = sampler.at(step);
  double loss = 0;
  if (!own.empty()) {
    const Tensor share = shared.loss(own, step);
    torch::autograd::backward({share}, {});
    loss = share.item<double>();
  }
  reducer.finish();
  loss = setting.communicator.sum(loss);
  const std::vector<Trainable> whole = alone.begin();
  const Tensor expected = alone.loss(Sampler(1, image_count, batch, 0, 1).at(step), step);
  const auto gradients = torch::autograd::grad({expected}, parameters_of(whole), {}, {}, false, true);
  EXPECT_NEAR(loss, expected.item<double>(), 1e-3 * expected.item<double>());
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_LT(largest_difference(trainables[i].parameter.grad(), gradients[i]), 0.02) << whole[i].name;
  }
}

TEST(VariantsOverRanks, LossAndGradientsAreThoseOfOneProcess) {
  for (const Variant& variant : variants()) {
    SCOPED_TRACE(variant.name);
    Setting setting;
    variant.choose(setting.job);
    const Sampler sampler(1, image_count, batch, setting.communicator.rank(), setting.communicator.size());
    const SyntheticImages own = small_images(24, sampler.own_images());
    Student apart = setting.student.clone();
    const PhaseImages own_images{.training = own, .held_out = setting.held_out, .preprocessing = setting.preprocessing};
    const std::vector<Phase> shared =
        reconstruction_phases(setting.job, setting.models(), own_images, setting.communicator, plenty);
    // Every rank holds all images here: sums over ranks then count each of them alike.
    const Models apart_models{.teacher = setting.teacher, .student = apart, .calibrated = setting.calibrated};
    const std::vector<Phase> alone =
        reconstruction_phases(setting.job, apart_models, setting.phase_images(), setting.communicator, plenty);
    ASSERT_EQ(shared.size(), alone.size());
    for (size_t i = 0; i < shared.size(); ++i) expect_agreement(setting, shared[i], alone[i], 40, sampler);
  }
}

}  // namespace
}  // namespace eidolon
