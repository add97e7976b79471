#include <filesystem>

#include "gtest/gtest.h"
#include "model/loading/teacher.h"
#include "quantization/calibration.h"
#include "tests/places.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

TEST(CalibrationOfDeitTiny, StaysFiniteAndLosslessWithItsDeadChannels) {
  const at::NoGradGuard no_gradients;
  const std::filesystem::path folder = testing::shared_data() / "models" / "deit_tiny_patch16_224";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent; set EIDOLON_DATA to the folder with models/";
  const Teacher teacher = read_teacher(folder);
  at::manual_seed(1);
  const Tensor images = at::randn({4, 3, 224, 224});
  const Scheme scheme = scheme_of(research_job(), *teacher.model.plan);
  const Student student = calibrate(teacher.model, scheme, images, {});

  for (const auto& [name, parameter] : student.model.parameters) {
    EXPECT_TRUE(parameter.isfinite().all().item<bool>()) << name;
  }
  for (const auto& [node, quantizer] : student.quantizers) {
    EXPECT_TRUE(at::logical_and(quantizer.scale > 0, quantizer.scale.isfinite()).all().item<bool>())
        << student.model.plan->name(node);
  }
  const Tensor exact = forward(teacher.model, images);
  EXPECT_LT((forward(student.model, images) - exact).abs().max().item<double>(), 1e-3);
  EXPECT_TRUE(forward(student.model, images, quantizing_tap(student)).isfinite().all().item<bool>());
}

}  // namespace
}  // namespace eidolon
