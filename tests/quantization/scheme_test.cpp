#include "quantization/scheme.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "gtest/gtest.h"

namespace eidolon {
namespace {

TEST(Scheme, QuantizesEveryNodeButTheImage) {
  const Scheme scheme = scheme_of({}, 12);
  for (const NodeId node : all_nodes(12)) EXPECT_EQ(scheme.contains(node), node.kind != NodeKind::image) << node_name(node);
}

TEST(Scheme, FollowsTheJob) {
  QuantizationJob job;
  job.weight_bits = 3;
  job.activation_bits = 5;
  job.weight_symmetric = true;
  const Scheme scheme = scheme_of(job, 2);
  EXPECT_EQ(scheme.at({1, NodeKind::qkv_weight}), (QuantizerSpec{QuantizerKind::uniform, 3, true, 0}));
  EXPECT_EQ(scheme.at({-1, NodeKind::head_weight}), (QuantizerSpec{QuantizerKind::uniform, 3, true, 0}));
  EXPECT_EQ(scheme.at({0, NodeKind::fc2_input}), (QuantizerSpec{QuantizerKind::companded, 5, false, -1}));
  EXPECT_EQ(scheme.at({0, NodeKind::fc1_input}), (QuantizerSpec{QuantizerKind::uniform, 5, false, -1}));
}

TEST(Scheme, AttentionIsCompandedUnlessToldOtherwise) {
  const NodeId probabilities{0, NodeKind::probabilities};
  QuantizationJob job;
  EXPECT_EQ(scheme_of(job, 1).at(probabilities).kind, QuantizerKind::companded);
  EXPECT_TRUE(scheme_of(job, 1).at(probabilities).of_row_maximum);
  job.attention = "log2";
  EXPECT_EQ(scheme_of(job, 1).at(probabilities).kind, QuantizerKind::log2);
  job.attention = "linear";
  EXPECT_THROW(scheme_of(job, 1), BadInput);
}

TEST(Scheme, CompandingLeavesWeightsAndLayerNormsUniform) {
  QuantizationJob job;
  job.attention = "uniform";
  job.activation_symmetric = true;
  for (const auto& [node, spec] : scheme_of(job, 2)) {
    const std::set<NodeKind> companded{NodeKind::query, NodeKind::key, NodeKind::value, NodeKind::proj_input,
                                       NodeKind::fc2_input};
    EXPECT_EQ(spec.kind == QuantizerKind::companded, companded.contains(node.kind)) << node_name(node);
    EXPECT_TRUE(!companded.contains(node.kind) || spec.lowest() == -8);
  }
  job.activation_kind = "log_sqrt3";
  EXPECT_THROW(scheme_of(job, 1), BadInput);
}

TEST(Scheme, ProbabilitiesAreUnsignedEvenIfActivationsAreSymmetric) {
  QuantizationJob job;
  job.activation_symmetric = true;
  job.attention = "uniform";
  const Scheme scheme = scheme_of(job, 1);
  EXPECT_EQ(scheme.at({0, NodeKind::probabilities}).lowest(), 0);
  EXPECT_EQ(scheme.at({0, NodeKind::query}).lowest(), -8);
}

TEST(Scheme, ManifestNamesEveryNodeOfTheModel) {
  Scheme scheme = scheme_of({}, 3);
  scheme.erase({1, NodeKind::key});
  std::set<std::string> names, floats;
  const auto manifest = nlohmann::json::parse(scheme_to_json(scheme, 3));
  for (const auto& entry : manifest.at("nodes")) {
    names.insert(entry.at("name").get<std::string>());
    if (entry.value("float", false)) floats.insert(entry.at("name").get<std::string>());
  }
  EXPECT_EQ(names.size(), all_nodes(3).size());
  for (const NodeId node : all_nodes(3)) EXPECT_TRUE(names.contains(node_name(node))) << node_name(node);
  EXPECT_EQ(floats, (std::set<std::string>{"image", "blocks.1.attn.k"}));
}

TEST(Scheme, SurvivesJson) {
  QuantizationJob job;
  for (const std::string attention : {"uniform", "log2", "log_sqrt2", "companded"}) {
    job.attention = attention;
    job.weight_symmetric = !job.weight_symmetric;
    job.attention_granularity = job.weight_symmetric ? "tensor" : "row";
    const Scheme scheme = scheme_of(job, 13);
    EXPECT_EQ(scheme_from_json(scheme_to_json(scheme, 13)), scheme);
  }
}

TEST(Scheme, DamagedJsonIsAFault) {
  const std::string good =
      R"({"name": "head.weight", "bits": 4, "kind": "uniform", "symmetric": true, "granularity": "tensor"})";
  EXPECT_EQ(scheme_from_json(R"({"nodes": [)" + good + "]}").size(), 1u);
  for (const std::string& text : std::vector<std::string>{
           "", "[]", "{", R"({"nodes": 3})", R"({"nodes": [{"name": "blocks.x.attn.q", "float": true}]})",
           R"({"nodes": [{"name": "tail", "float": true}]})", R"({"nodes": [{"name": "blocks.-1.attn.q", "float": true}]})",
           R"({"nodes": [{"name": "head.weight"}]})",
           R"({"nodes": [{"name": "head.weight", "bits": 99, "kind": "uniform", "symmetric": true, "granularity": "tensor"}]})",
           R"({"nodes": [{"name": "head.weight", "bits": 4, "kind": "cubic", "symmetric": true, "granularity": "tensor"}]})",
           R"({"nodes": [{"name": "blocks.99999999999999999999.attn.q", "float": true}]})"}) {
    EXPECT_THROW(scheme_from_json(text), Fault) << text;
  }
}

}  // namespace
}  // namespace eidolon
