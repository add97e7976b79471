#include "synthesis/prior_weight.h"

#include "synthesis/start.h"
#include "tests/device/test_device.h"
#include "tests/places.h"
#include "tests/storage/expect_error.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::tiny_teacher;

SynthesisJob automatic_job() {
  SynthesisJob job = testing::small_job();
  job.sardfq.prior_weight.reset();
  return job;
}

double gradient_norm(const SynthesisTeacher& teacher, SynthesisJob job, bool of_prior) {
  const Unit probe{0, 4};
  job.sardfq.prior_weight = 1.0;
  const UnitObjective objective = draw_objective(teacher, job, probe);
  const auto term = [&](const Tensor& x) {
    const Seen seen = look(teacher, objective, x);
    const auto sum = [&](std::string_view name) { return testing::loss_named(name, objective, seen).sum(); };
    return of_prior ? sum("prior") : sum("semantic") + sum("crops");
  };
  const Tensor start = start_pixels(job, teacher.preprocessing, probe).to(test_device());
  return testing::gradient_of(term, start).norm().item<double>();
}

TEST(PriorWeight, GivesBothTermsGradientsOfOneNorm) {
  const SynthesisTeacher teacher = tiny_teacher();
  const SynthesisJob job = automatic_job();
  const double weight = balanced_prior_weight(teacher, job);
  const double attained = weight * gradient_norm(teacher, job, true) / gradient_norm(teacher, job, false);
  EXPECT_NEAR(attained, 1.0, 0.05);  // two digits
}

TEST(PriorWeight, HasTwoDigits) {
  const double weight = balanced_prior_weight(tiny_teacher(), automatic_job());
  const double digits = weight / std::pow(10.0, std::floor(std::log10(weight)) - 1);
  EXPECT_NEAR(digits, std::round(digits), 1e-6);
}

TEST(PriorWeight, RefusesATeacherWithoutClasses) {
  const Teacher headless = read_teacher(testing::test_data() / "model" / "families" / "timm_vit_headless");
  SynthesisJob job = automatic_job();
  job.sardfq.crops = 0;
  EXPECT_ERROR(BadInput, "the teacher has none; give it a number",
               balanced_prior_weight({headless.model.to(test_device(), at::kFloat), headless.preprocessing}, job));
}

TEST(PriorWeight, RefusesATeacherWhoseAttentionIgnoresThePixels) {
  SynthesisTeacher teacher = tiny_teacher();
  for (auto& [name, tensor] : teacher.model.parameters) {
    if (name.ends_with("attn.qkv.weight")) tensor = at::zeros_like(tensor);
  }
  EXPECT_ERROR(Fault, "found no gradient of the prior term", balanced_prior_weight(teacher, automatic_job()));
}

}  // namespace
}  // namespace eidolon
