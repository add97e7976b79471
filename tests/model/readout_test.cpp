#include "model/readout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/numerics/differences.h"

namespace eidolon {
namespace {

constexpr Output classes{.kind = Output::Kind::classes, .size = 6}, features{.kind = Output::Kind::features, .size = 6};

struct Outputs {
  Tensor teacher, student;

  explicit Outputs(at::ScalarType dtype = at::kDouble) {
    at::manual_seed(8);
    teacher = (3 * at::randn({4, 6}, at::kDouble)).to(dtype);
    student = (teacher + at::randn({4, 6}, at::kDouble)).to(dtype);
  }
};

/// Sum over classes of p log(p / q), with p and q from exponentials of their own.
double brute_force_divergence(const Tensor& teacher, const Tensor& student, int64_t image, double temperature) {
  const auto shares = [&](const Tensor& logits) {
    std::vector<double> result;
    double sum = 0;
    for (int64_t c = 0; c < logits.size(1); ++c) {
      result.push_back(std::exp(logits[image][c].item<double>() / temperature));
      sum += result.back();
    }
    for (double& share : result) share /= sum;
    return result;
  };
  const std::vector<double> p = shares(teacher), q = shares(student);
  double divergence = 0;
  for (size_t c = 0; c < p.size(); ++c) divergence += p[c] * std::log(p[c] / q[c]);
  return divergence;
}

TEST(DivergenceOfClasses, IsTheKullbackLeiblerDivergenceInNats) {
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
    const Outputs at(dtype);
    for (const double temperature : {1.0, 4.0, 20.0}) {
      const Tensor given = divergence(classes, at.teacher, at.student, temperature);
      ASSERT_EQ(given.sizes(), at::IntArrayRef({4}));
      for (int64_t image = 0; image < 4; ++image) {
        const double expected = brute_force_divergence(at.teacher, at.student, image, temperature);
        EXPECT_NEAR(given[image].item<double>(), expected, dtype == at::kDouble ? 1e-12 : 1e-6) << temperature;
      }
    }
  }
}

TEST(DivergenceOfClasses, SurvivesLogitsThatAreFarApart) {
  const Tensor teacher = at::tensor({800.0, 0.0, -800.0}).view({1, 3}), student = teacher.flip(1);
  EXPECT_NEAR(divergence({.size = 3}, teacher, student).item<double>(), 1600, 1e-9);
}

double cosine(const Tensor& a, const Tensor& b, int64_t image) {
  double product = 0, square_a = 0, square_b = 0;
  for (int64_t c = 0; c < a.size(1); ++c) {
    const double x = a[image][c].item<double>(), y = b[image][c].item<double>();
    product += x * y;
    square_a += x * x;
    square_b += y * y;
  }
  return product / std::sqrt(square_a * square_b);
}

TEST(DivergenceOfFeatures, IsOneMinusTheCosineAndKnowsNoTemperature) {
  const Outputs at;
  const Tensor given = divergence(features, at.teacher, at.student);
  ASSERT_EQ(given.sizes(), at::IntArrayRef({4}));
  for (int64_t image = 0; image < 4; ++image) {
    EXPECT_NEAR(given[image].item<double>(), 1 - cosine(at.teacher, at.student, image), 1e-12);
  }
  EXPECT_TRUE(at::equal(divergence(features, at.teacher, at.student, 20), given));
  EXPECT_TRUE(at::allclose(divergence(features, at.teacher, 7 * at.student), given, 0, 1e-12));
}

TEST(Divergence, GradientsMatchFiniteDifferencesInStudentAndTeacher) {
  const Outputs at;
  for (const Output& output : {classes, features}) {
    for (const double temperature : {1.0, 20.0}) {
      testing::expect_gradient_matches_differences(
          [&](const Tensor& student) { return divergence(output, at.teacher, student, temperature).sum(); }, at.student);
      testing::expect_gradient_matches_differences(
          [&](const Tensor& teacher) { return divergence(output, teacher, at.student, temperature).sum(); }, at.teacher);
    }
  }
}

TEST(Divergence, OfEqualOutputsIsZeroAndOfOthersPositive) {
  const Outputs at;
  for (const Output& output : {classes, features}) {
    EXPECT_LT(divergence(output, at.teacher, at.teacher.clone()).abs().max().item<double>(), 1e-12);
    EXPECT_GT(divergence(output, at.teacher, at.student).min().item<double>(), 1e-4);
  }
  EXPECT_EQ(relative_squared_error(at.teacher, at.teacher.clone()).abs().max().item<double>(), 0);
}

TEST(RelativeSquaredError, IsTheErrorsEnergyInThatOfTheTeacher) {
  const Outputs at;
  const Tensor given = relative_squared_error(at.teacher, at.student);
  ASSERT_EQ(given.sizes(), at::IntArrayRef({4}));
  for (int64_t image = 0; image < 4; ++image) {
    double error = 0, energy = 0;
    for (int64_t c = 0; c < 6; ++c) {
      const double t = at.teacher[image][c].item<double>();
      error += std::pow(at.student[image][c].item<double>() - t, 2);
      energy += t * t;
    }
    EXPECT_NEAR(given[image].item<double>(), error / energy, 1e-12);
  }
  EXPECT_TRUE(relative_squared_error(at::zeros({2, 3}), at::ones({2, 3})).isfinite().all().item<bool>());
}

}  // namespace
}  // namespace eidolon
