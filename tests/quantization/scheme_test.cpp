#include "quantization/scheme.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "gtest/gtest.h"
#include "random_model.h"
#include "specs.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

TEST(Scheme, QuantizesEveryNodeButTheImage) {
  const auto plan = small_plan(12);
  const Scheme scheme = scheme_of(research_job(), *plan);
  for (const NodeId node : plan->all_nodes()) {
    EXPECT_EQ(scheme.contains(node), plan->role(node) != Role::image) << plan->name(node);
  }
}

TEST(Scheme, FollowsTheJob) {
  QuantizationJob job = research_job();
  job.weight_bits = 3;
  job.activation_bits = 5;
  job.weight_symmetric = true;
  const auto plan = small_plan(2);
  const Scheme scheme = scheme_of(job, *plan);
  const auto spec = [&](const std::string& name) { return scheme.at(plan->node(name)); };
  EXPECT_EQ(spec("blocks.1.attn.qkv.weight"), spec_of(formats::uniform, 3, true, 0));
  EXPECT_EQ(spec("head.weight"), spec_of(formats::uniform, 3, true, 0));
  EXPECT_EQ(spec("blocks.0.mlp.fc2.input"), spec_of(formats::companded, 5));
  EXPECT_EQ(spec("blocks.0.mlp.fc1.input"), spec_of(formats::uniform, 5));
}

TEST(Scheme, AttentionIsCompandedUnlessToldOtherwise) {
  const auto plan = small_plan(1);
  const NodeId probabilities = plan->node("blocks.0.attn.probs");
  QuantizationJob job = research_job();
  EXPECT_EQ(scheme_of(job, *plan).at(probabilities).format, &formats::companded);
  EXPECT_EQ(scheme_of(job, *plan).at(probabilities).scaling, of_row_maximum());
  job.attention = "log2";
  EXPECT_EQ(scheme_of(job, *plan).at(probabilities).format, &formats::log2);
  job.attention = "linear";
  EXPECT_THROW(scheme_of(job, *plan), BadInput);
}

TEST(Scheme, CompandingLeavesWeightsAndLayerNormsUniform) {
  QuantizationJob job = research_job();
  job.attention = "uniform";
  const auto plan = small_plan(2);
  std::set<std::string> companded;
  for (const std::string block : {"blocks.0.", "blocks.1."}) {
    for (const std::string node : {"attn.q", "attn.k", "attn.v", "attn.proj.input", "mlp.fc2.input"}) {
      companded.insert(block + node);
    }
  }
  for (const auto& [node, spec] : scheme_of(job, *plan)) {
    const bool expected = companded.contains(plan->name(node));
    EXPECT_EQ(spec.format == &formats::companded, expected) << plan->name(node);
  }
  job.activation_format = "log_sqrt3";
  EXPECT_THROW(scheme_of(job, *plan), BadInput);
}

TEST(Scheme, ManifestNamesEveryNodeOfTheModel) {
  const auto plan = small_plan();
  Scheme scheme = scheme_of(research_job(), *plan);
  scheme.erase(plan->node("blocks.1.attn.k"));
  std::set<std::string> names, floats;
  const auto manifest = nlohmann::json::parse(scheme_to_json(scheme, *plan));
  for (const auto& entry : manifest.at("nodes")) {
    names.insert(entry.at("name").get<std::string>());
    if (entry.value("float", false)) floats.insert(entry.at("name").get<std::string>());
  }
  EXPECT_EQ(names.size(), plan->nodes.size());
  for (const Node& node : plan->nodes) EXPECT_TRUE(names.contains(node.name)) << node.name;
  EXPECT_EQ(floats, (std::set<std::string>{"image", "blocks.1.attn.k"}));
}

TEST(Scheme, SurvivesJson) {
  QuantizationJob job = research_job();
  for (const std::string attention : {"uniform", "log2", "log_sqrt2", "companded"}) {
    job.attention = attention;
    job.weight_symmetric = !job.weight_symmetric;
    job.attention_granularity = job.weight_symmetric ? "tensor" : "row";
    const auto plan = small_plan(13);
    const Scheme scheme = scheme_of(job, *plan);
    EXPECT_EQ(scheme_from_json(scheme_to_json(scheme, *plan), *plan), scheme);
  }
}

TEST(Scheme, DamagedJsonIsAFault) {
  const auto plan = small_plan();
  const auto with = [](const std::string& bits, const std::string& format, const std::string& scale) {
    return R"({"nodes": [{"name": "head.weight", "bits": )" + bits + R"(, "format": ")" + format +
           R"(", "symmetric": true, "scale": )" + scale + "}]}";
  };
  const auto scale = [](const std::string& granularity, const std::string& axis, const std::string& block) {
    return R"({"granularity": ")" + granularity + R"(", "axis": )" + axis + R"(, "block": )" + block +
           R"(, "stored": "float32", "from_values": false})";
  };
  const std::string whole = scale("tensor", "null", "null");
  EXPECT_EQ(scheme_from_json(with("4", "uniform", whole), *plan).size(), 1u);
  for (const std::string& text : std::vector<std::string>{
           "", "[]", "{", R"({"nodes": 3})", R"({"nodes": [{"name": "blocks.x.attn.q", "float": true}]})",
           R"({"nodes": [{"name": "tail", "float": true}]})", R"({"nodes": [{"name": "blocks.-1.attn.q", "float": true}]})",
           R"({"nodes": [{"name": "head.weight"}]})", with("99", "uniform", whole), with("4", "cubic", whole),
           with("4", "uniform", "{}"), with("4", "uniform", scale("line", "null", "null")),
           with("4", "uniform", scale("channel", "4", "null")), with("4", "uniform", scale("block", "1", "0")),
           R"({"nodes": [{"name": "blocks.99999999999999999999.attn.q", "float": true}]})"}) {
    EXPECT_THROW(scheme_from_json(text, *plan), Fault) << text;
  }
}

}  // namespace
}  // namespace eidolon
