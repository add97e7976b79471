#include "numerics/adam.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "tests/device/test_device.h"

namespace eidolon {
namespace {

/// Algorithm 1 of Kingma & Ba, one number at a time.
struct ScalarAdam {
  double theta, m = 0, v = 0;
  int t = 0;

  void step(double gradient, double rate, const AdamSettings& s) {
    ++t;
    m = s.beta1 * m + (1 - s.beta1) * gradient;
    v = s.beta2 * v + (1 - s.beta2) * gradient * gradient;
    const double m_hat = m / (1 - std::pow(s.beta1, t)), v_hat = v / (1 - std::pow(s.beta2, t));
    theta -= rate * m_hat / (std::sqrt(v_hat) + s.epsilon);
  }
};

/// Some gradient that differs by element and step and changes sign.
double gradient_of(int64_t element, int step) {
  return std::sin(1.7 * static_cast<double>(element) + 0.9 * step) * std::pow(10.0, static_cast<double>(element % 3) - 1);
}

void compare_over_steps(const Tensor& rate, const AdamSettings& settings) {
  Tensor parameter = at::linspace(-1, 1, 6, at::kDouble).reshape({2, 3});
  const Tensor rates = rate.expand({2, 3}).contiguous().reshape(-1);
  std::array<ScalarAdam, 6> scalars;
  for (int64_t i = 0; i < 6; ++i) scalars[i] = {parameter.reshape(-1)[i].item<double>()};
  AdamMoments moments = AdamMoments::zeros_like(parameter);

  for (int step = 0; step < 7; ++step) {
    Tensor gradient = at::empty({2, 3}, at::kDouble);
    for (int64_t i = 0; i < 6; ++i) gradient.data_ptr<double>()[i] = gradient_of(i, step);
    adam_step(parameter, gradient, moments, rate, settings);
    for (int64_t i = 0; i < 6; ++i) {
      scalars[i].step(gradient_of(i, step), rates[i].item<double>(), settings);
      EXPECT_NEAR(parameter.reshape(-1)[i].item<double>(), scalars[i].theta, 1e-13) << "element " << i << ", step " << step;
    }
  }
  EXPECT_EQ(moments.step, 7);
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(moments.exp_avg.reshape(-1)[i].item<double>(), scalars[i].m, 1e-14);
    EXPECT_NEAR(moments.exp_avg_sq.reshape(-1)[i].item<double>(), scalars[i].v, 1e-14);
  }
}

TEST(Adam, FollowsThePublishedFormula) {
  compare_over_steps(at::scalar_tensor(0.01, at::kDouble), {});
  compare_over_steps(at::scalar_tensor(0.2, at::kDouble), {0.5, 0.9, 1e-8});
  compare_over_steps(at::scalar_tensor(0.2, at::kDouble), {0.9, 0.999, 1e-2});
}

/// A GPU takes all tensors in one go; the arithmetic is that of adam_step.
TEST(Adam, OfManyTensorsIsThatOfEach) {
  std::vector<Tensor> together, apart, gradients, rates;
  std::vector<AdamMoments> moments, single;
  std::vector<AdamMoments*> all;
  at::manual_seed(3);
  for (const int64_t rows : {1, 4, 9}) {
    together.push_back(at::randn({rows, 5}).to(test_device()));
    apart.push_back(together.back().clone());
    gradients.push_back(at::randn({rows, 5}).to(test_device()));
    rates.push_back(at::linspace(0.01, 0.1, rows).reshape({rows, 1}).to(test_device()));
    moments.push_back(AdamMoments::zeros_like(together.back()));
    single.push_back(AdamMoments::zeros_like(together.back()));
  }
  moments[1].step = single[1].step = 40;  // resumed elsewhere
  for (AdamMoments& one : moments) all.push_back(&one);
  for (int step = 0; step < 3; ++step) {
    adam_steps(together, gradients, all, rates, {});
    for (size_t i = 0; i < apart.size(); ++i) adam_step(apart[i], gradients[i], single[i], rates[i], {});
  }
  for (size_t i = 0; i < apart.size(); ++i) {
    EXPECT_TRUE(at::allclose(together[i], apart[i], 1e-6, 0)) << i;
    EXPECT_TRUE(at::allclose(moments[i].exp_avg_sq, single[i].exp_avg_sq, 1e-6, 0)) << i;
    EXPECT_EQ(moments[i].step, single[i].step);
  }
}

TEST(Adam, TakesARatePerChannel) {
  compare_over_steps(at::tensor({0.01, 0.5}, at::kDouble).reshape({2, 1}), {});
}

TEST(Adam, FirstStepIsTheRateWhateverTheGradientsSize) {
  Tensor parameter = at::zeros({3}, at::kDouble);
  AdamMoments moments = AdamMoments::zeros_like(parameter);
  adam_step(parameter, at::tensor({1e-3, -5.0, 1e4}, at::kDouble), moments, at::scalar_tensor(0.1, at::kDouble), {});
  EXPECT_TRUE(at::allclose(parameter, at::tensor({-0.1, 0.1, -0.1}, at::kDouble), 1e-4, 0));
}

TEST(Adam, StandsStillWithoutAGradient) {
  Tensor parameter = at::ones({3});
  AdamMoments moments = AdamMoments::zeros_like(parameter);
  adam_step(parameter, at::zeros({3}), moments, at::scalar_tensor(0.1), {});
  EXPECT_TRUE(at::equal(parameter, at::ones({3})));
}

TEST(Adam, StepsAParameterThatRequiresGradients) {
  Tensor parameter = at::ones({3}).requires_grad_(true);
  AdamMoments moments = AdamMoments::zeros_like(parameter);
  EXPECT_FALSE(moments.exp_avg.requires_grad());
  adam_step(parameter, at::ones({3}), moments, at::scalar_tensor(0.1), {});
  EXPECT_TRUE(parameter.is_leaf());
  EXPECT_NEAR(parameter[0].item<double>(), 0.9, 1e-6);
}

}  // namespace
}  // namespace eidolon
