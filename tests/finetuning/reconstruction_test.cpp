#include "finetuning/reconstruction.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "finetuning/adaround.h"
#include "finetuning/training.h"
#include "tests/device/test_device.h"
#include "tests/finetuning/setting.h"

namespace eidolon {
namespace {

void train(const Setting& setting, const Phase& phase, std::vector<Trainable>& trainables, int steps) {
  GradientReducer reducer(parameters_of(trainables), setting.communicator, Reduction::overlapped);
  for (int step = 0; step < steps; ++step) {
    train_step(phase, trainables, reducer, {.images = setting.images.global, .batch = setting.images.size(), .number = step});
  }
  freeze(trainables);
}

/// Seen from outside: what is not kept follows a change of the sections in front.
TEST(Reconstruction, LeavesNoCachesToWhatFollowsIt) {
  Setting setting;
  setting.job.input_mix = 0.5;
  const at::NoGradGuard no_gradients;
  const std::vector<Phase> phases = setting.phases();
  const auto loss = [&] { return phases.back().loss({0, 1}, 0).item<double>(); };
  const auto changes_by = [&](const Tensor& parameter) {
    const double before = loss();
    parameter.add_(1);
    const double after = loss();
    parameter.sub_(1);
    return after != before;
  };
  Tensor in_front = setting.student.model.parameters.at("pos_embed"), behind = setting.teacher.parameters.at("head.bias");
  for (const Phase& phase : phases) {
    std::vector<Trainable> trainables = phase.begin();
    freeze(trainables);
    if (&phase == &phases.back()) {
      EXPECT_FALSE(changes_by(in_front) || changes_by(behind));
    }
    phase.conclude(trainables);
  }
  EXPECT_TRUE(changes_by(in_front));
  EXPECT_TRUE(changes_by(behind));
}

TEST(Reconstruction, WithoutHeldOutImagesKeepsWhatItTrainedAndClaimsNothing) {
  Setting setting;
  setting.held_out = small_images(24, {});
  setting.job.learning_rate = 50.0;
  const Phase phase = setting.phases().at(1);
  std::vector<Trainable> trainables = phase.begin();
  train(setting, phase, trainables, 3);
  const Student last = setting.student.clone();
  const PhaseOutcome outcome = phase.conclude(trainables);
  EXPECT_TRUE(outcome.kept);
  EXPECT_FALSE(outcome.before || outcome.trained);
  const TensorMap expected = student_tensors(last);
  for (const auto& [name, tensor] : student_tensors(setting.student)) EXPECT_TRUE(at::equal(tensor, expected.at(name))) << name;
}

TEST(Reconstruction, WithALossThatIsNotFiniteNamesThePhase) {
  Setting setting;
  const Phase phase = setting.phases().at(1);
  std::vector<Trainable> trainables = phase.begin();
  freeze(trainables);
  setting.student.model.parameters.at("blocks.0.mlp.fc2.bias")[0] = std::numeric_limits<double>::quiet_NaN();
  try {
    phase.conclude(trainables);
    FAIL() << "was accepted";
  } catch (const Fault& fault) {
    const std::string said = fault.what();
    EXPECT_EQ(said.find("reconstruct/blocks.0, after its last step: "), 0) << said;
    EXPECT_NE(said.find("lower the learning rates"), std::string::npos) << said;
  }
}

/// By rates that would take every scale through zero at once, a scale falls to a tenth of what calibration found.
TEST(Reconstruction, KeepsTrainedScalesPositive) {
  for (const std::string rounding : {"straight_through", "adaround"}) {
    Setting setting;
    setting.job.rounding = rounding;
    setting.job.scales.activation_learning_rate = setting.job.scales.weight_learning_rate = 3;
    const Phase phase = setting.phases().at(1);
    std::vector<Trainable> trainables = phase.begin();
    train(setting, phase, trainables, 6);
    int bounded = 0;
    for (const auto& [node, quantizer] : setting.student.quantizers) {
      const Tensor lowest = setting.calibrated.quantizers.at(node).scale * 0.1;
      EXPECT_TRUE(at::ge(quantizer.scale, lowest * (1 - 1e-6)).all().item<bool>()) << setting.teacher.plan->name(node);
      bounded += at::le(quantizer.scale, lowest * (1 + 1e-6)).any().item<bool>();
    }
    EXPECT_GT(bounded, 0) << "rates this large take some scale down";
    EXPECT_EQ(unsound_tensor(setting.student), std::nullopt);
  }
}

TEST(Reconstruction, LowersTheErrorOfEverySectionOnItsImages) {
  Setting setting;
  setting.job.learning_rate = 0.02;
  for (const Phase& phase : setting.phases()) {
    std::vector<Trainable> trainables = phase.begin();
    const double before = phase.loss(setting.images.global, 0).item<double>();
    train(setting, phase, trainables, 30);
    EXPECT_LT(phase.loss(setting.images.global, 0).item<double>(), before) << phase.name;
    phase.conclude(trainables);
  }
}

TEST(Reconstruction, KeepsWhatImprovedOnHeldOutImages) {
  Setting setting;
  setting.held_out = setting.images;  // what is learnt then also holds on the images that judge it
  setting.job.learning_rate = 0.02;
  const Phase phase = setting.phases().at(1);
  std::vector<Trainable> trainables = phase.begin();
  train(setting, phase, trainables, 30);
  const PhaseOutcome outcome = phase.conclude(trainables);
  EXPECT_TRUE(outcome.kept);
  EXPECT_LT(outcome.trained, outcome.before);
}

/// The rate of the first tensor that a section trains.
double first_rate(double multiplier, size_t phase) {
  Setting setting;
  setting.job.learning_rate_multiplier = multiplier;
  return setting.phases().at(phase).begin().front().rate.mean().item<double>();
}

TEST(Reconstruction, TrainsTheFirstSectionsFaster) {
  EXPECT_NEAR(first_rate(8, 0), 8 * first_rate(1, 0), 1e-6 * first_rate(8, 0));
  EXPECT_GT(first_rate(8, 1), 1.01 * first_rate(1, 1));
  EXPECT_EQ(first_rate(8, 3), first_rate(1, 3));  // behind the middle
}

TEST(Reconstruction, PutsTheCalibratedTensorsBackWhenTrainingMadeThingsWorse) {
  Setting setting;
  setting.job.learning_rate = 50.0;  // fifty quantizer steps at a time: ruinous
  const Phase phase = setting.phases().at(1);
  std::vector<Trainable> trainables = phase.begin();
  train(setting, phase, trainables, 5);
  const PhaseOutcome outcome = phase.conclude(trainables);
  EXPECT_FALSE(outcome.kept);
  EXPECT_GT(outcome.trained, outcome.before);
  const TensorMap now = student_tensors(setting.student), before = student_tensors(setting.calibrated);
  for (const auto& [name, tensor] : before) EXPECT_TRUE(at::equal(tensor, now.at(name))) << name;
}

TEST(Reconstruction, LossIsTheSquaredErrorOfTheSection) {
  Setting setting;
  const Phase phase = setting.phases().at(1);
  phase.begin();
  const std::vector<int64_t> batch{2, 5};
  const Tensor images = small_input(setting.images.bytes.index_select(0, setting.images.rows(batch)));
  const Tensor target = forward_section(setting.teacher, 1, forward_section(setting.teacher, 0, images));
  const Tap tap = quantizing_tap(setting.student);
  const Tensor tokens = forward_section(setting.student.model, 0, images, tap);
  const Tensor output = forward_section(setting.student.model, 1, tokens, tap);
  const double expected = (output - target).square().sum().item<double>() / 16.0;
  EXPECT_NEAR(phase.loss(batch, 0).item<double>(), expected, 1e-4 * expected);
}

TEST(Reconstruction, WeighsTheErrorAndAddsThePenaltyOncePerImage) {
  Setting setting;
  setting.job.importance = "gradient";
  setting.job.rounding = "adaround";
  const Phase phase = setting.phases().at(1);
  std::vector<Trainable> trainables = phase.begin();
  const std::vector<int64_t> batch{2, 5, 7};
  const double early = phase.loss(batch, 19).item<double>(), late = phase.loss(batch, 20).item<double>();
  double penalty = 0;  // beta 20
  for (const Trainable& entry : trainables) {
    if (entry.transient) penalty += rounding_penalty(entry.parameter, 20).item<double>();
  }
  EXPECT_GT(penalty, 0);
  EXPECT_NEAR(late - early, 3 * 0.01 * penalty, 1e-4 * late);
}

TEST(Reconstruction, EndsOnTheGridWhereItLearnsTheRounding) {
  Setting setting;
  setting.held_out = setting.images;
  setting.job.rounding = "adaround";
  setting.job.adaround.learning_rate = 0.1;
  setting.job.scales.weight_learning_rate = 1e-3;
  setting.job.iterations = 40;
  const Phase phase = setting.phases().at(1);
  std::vector<Trainable> trainables = phase.begin();
  train(setting, phase, trainables, 40);
  EXPECT_TRUE(phase.conclude(trainables).kept);
  const std::vector<Product> products = setting.teacher.plan->products_of(1);
  EXPECT_EQ(products.size(), 4U);
  for (const Product& product : products) {
    const NodeId node = product.weight;
    const Tensor& weight = setting.student.model[node];
    const Quantizer& quantizer = setting.student.quantizers.at(node);
    EXPECT_FALSE(weight.requires_grad());
    EXPECT_FALSE(at::equal(quantizer.scale, setting.calibrated.quantizers.at(node).scale));
    EXPECT_TRUE(at::equal(fake_quantize(weight, quantizer), weight));
    const Tensor before = quantize_to_codes(setting.calibrated.model[node], setting.calibrated.quantizers.at(node));
    const Tensor change = (quantize_to_codes(weight, quantizer) - before).abs();
    EXPECT_EQ(change.max().item<int64_t>(), 1)
        << setting.teacher.plan->name(node);  // some weights changed sides, none went further
  }
}

TEST(Reconstruction, MixesTheTeachersInputsIn) {
  Setting setting;
  setting.job.input_mix = 1.0;
  const std::vector<Phase> phases = setting.phases();
  phases[0].begin();
  phases[1].begin();
  const std::vector<int64_t> batch{2, 5};
  const Tensor images = small_input(setting.images.bytes.index_select(0, setting.images.rows(batch)));
  const Tensor tokens = forward_section(setting.teacher, 0, images);  // not the quantized embedding
  const Tensor output = forward_section(setting.student.model, 1, tokens, quantizing_tap(setting.student));
  const double expected = (output - forward_section(setting.teacher, 1, tokens)).square().sum().item<double>() / 16.0;
  EXPECT_NEAR(phases[1].loss(batch, 0).item<double>(), expected, 1e-4 * expected);
}

TEST(Reconstruction, PutsTheCalibratedTensorsBackAlsoBehindLearnedRoundings) {
  Setting setting;
  setting.job.rounding = "adaround";
  setting.job.adaround.learning_rate = 100.0;
  setting.job.learning_rate = 50.0;
  setting.job.scales.activation_learning_rate = 0.1;
  setting.job.scales.weight_learning_rate = 0.1;
  const Phase phase = setting.phases().at(1);
  std::vector<Trainable> trainables = phase.begin();
  train(setting, phase, trainables, 5);
  EXPECT_FALSE(phase.conclude(trainables).kept);
  const TensorMap now = student_tensors(setting.student), before = student_tensors(setting.calibrated);
  for (const auto& [name, tensor] : before) EXPECT_TRUE(at::equal(tensor, now.at(name))) << name;
}

}  // namespace
}  // namespace eidolon
