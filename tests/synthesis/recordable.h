// Objectives whose iterations a device can record: every term of the loss but those that add by index.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "synthesis/optimization.h"
#include "tests/places.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon::testing {

inline constexpr int64_t recordable_iterations = 14;

struct Recordable {
  std::string name;
  SynthesisTeacher teacher;
  SynthesisJob job;
};

/// The teacher's weights, each off by a tenth, and queries that its Tap halves.
inline std::shared_ptr<const Opponent> small_opponent(const SynthesisTeacher& teacher) {
  at::manual_seed(29);
  Network model = teacher.model.to(teacher.device(), at::kFloat).clone();
  for (auto& [name, parameter] : model.parameters) {
    parameter = parameter * (1 + 0.1 * at::randn(parameter.sizes()).to(parameter.device()));
  }
  const Tap tap = [plan = model.plan](NodeId node, const Tensor& tensor) {
    return !plan->is_weight(node) && plan->role(node) == Role::query ? tensor * 0.5 : tensor;
  };
  return std::make_shared<const Opponent>(Opponent{.model = model, .tap = tap});
}

inline std::vector<Recordable> recordables() {
  std::vector<Recordable> all;
  const auto add = [&](const std::string& name, const SynthesisTeacher& teacher, const char* method, const auto& choose) {
    Recordable one{name, teacher, small_job(method)};
    one.job.iterations = recordable_iterations;
    choose(one.job);
    all.push_back(std::move(one));
  };
  const SynthesisTeacher small = small_teacher(at::kFloat);
  add("views", small, "views", [](SynthesisJob& job) { job.variation_weight = 0.1; });
  add("views in bf16", small_teacher(at::kBFloat16), "views", [](SynthesisJob&) {});
  add("whole images", small, "views", [](SynthesisJob& job) { job.views = {.smallest_side = 1, .colour = 0}; });
  add("prior", small, "sardfq", [](SynthesisJob& job) { job.sardfq.crops = 0; });
  add("gaussian entropy", small, "psaq",
      [](SynthesisJob& job) { job.psaq = {.entropy_weight = 0.1, .entropy_form = "gaussian", .head_similarity_weight = 1.0}; });
  SynthesisTeacher opposed = small;
  opposed.opponent = small_opponent(small);
  add("disagreement", opposed, "psaq_v2", [](SynthesisJob& job) { job.psaq.entropy_weight = 0; });
  const Teacher resnet = read_teacher(test_data() / "model" / "families" / "timm_resnet_basic");
  add("statistics", {resnet.model.to(test_device(), at::kFloat), resnet.preprocessing}, "views",
      [](SynthesisJob& job) { job.batchnorm_weight = 1; });
  return all;
}

/// Of four images.
inline UnitObjective objective_of(const Recordable& one) {
  const Unit unit{4, 4};
  const Tensor start = start_pixels(one.job, one.teacher.preprocessing, unit).to(one.teacher.device());
  return draw_objective(one.teacher, one.job, unit, start);
}

}  // namespace eidolon::testing
