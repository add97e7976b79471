#include "model/families/families.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/model/model_data.h"
#include "tests/storage/expect_error.h"

namespace eidolon {
namespace {

/// What another rank makes of the facts must be the network that rank 0 read.
TEST(Families, APlanIsMadeAgainFromItsFacts) {
  const Teacher teacher = read_teacher(testing::model_data("tiny_random"));
  const Plan& plan = *teacher.model.plan;
  const Network again{plan_from(plan.facts), teacher.model.parameters};
  EXPECT_EQ(again.plan->family, "vit");
  EXPECT_EQ(again.plan->facts, plan.facts);
  EXPECT_EQ(again.plan->parameters, plan.parameters);
  EXPECT_EQ(again.plan->macs, plan.macs);
  EXPECT_EQ(again.plan->image_size, plan.image_size);
  EXPECT_EQ(again.plan->output.size, plan.output.size);
  ASSERT_EQ(again.plan->nodes.size(), plan.nodes.size());
  for (const NodeId node : plan.all_nodes()) EXPECT_EQ(again.plan->name(node), plan.name(node));
  const at::NoGradGuard no_gradients;
  const Tensor& input = testing::tiny_reference().at("input");
  EXPECT_TRUE(at::equal(forward(again, input), forward(teacher.model, input)));
}

TEST(Families, NamesOfNoFamilyAreRefused) {
  EXPECT_ERROR(BadInput,
               "x.safetensors: the names of its parameters ('stem.weight', ...) are not those of a convolutional network",
               read_network({{"stem.weight", at::zeros({1})}}, {}, "x.safetensors"));
  EXPECT_ERROR(BadInput, "x.safetensors", read_network({}, {}, "x.safetensors"));
  EXPECT_ERROR(Fault, "a plan of family 'mixer'", plan_from(R"({"family": "mixer"})"));
}

}  // namespace
}  // namespace eidolon
