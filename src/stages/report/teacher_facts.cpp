// The teacher, and what becomes of its nodes: which products multiply integers, which floats.
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "quantization/scheme.h"
#include "stages/report/number_kind.h"
#include "stages/report/parts.h"

namespace eidolon::parts {
namespace {

using nlohmann::ordered_json;

int64_t elements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

std::string operand(const Scheme& scheme, NodeId node) {
  const auto found = scheme.find(node);
  return found == scheme.end() ? "float32" : number_kind(found->second);
}

/// {"a": "int 8 bits", "b": ..., "products": n, "weights": parameters among the factors}, one entry per pair of kinds.
class Pairs {
 public:
  void add(const std::string& what, const std::string& a, const std::string& b, int64_t weights) {
    Count& count = counts_[{what, a, b}];
    ++count.products;
    count.weights += weights;
  }
  ordered_json json() const {
    ordered_json list = ordered_json::array();
    for (const auto& [key, count] : counts_) {
      list.push_back(
          {{"product", key[0]}, {"left", key[1]}, {"right", key[2]}, {"count", count.products}, {"weights", count.weights}});
    }
    return list;
  }

 private:
  struct Count {
    int64_t products = 0, weights = 0;
  };
  std::map<std::vector<std::string>, Count> counts_;
};

}  // namespace

ordered_json teacher(const MeasuredRun& run) {
  const Plan& plan = *run.context.teacher.model.plan;
  int64_t parameters = 0;
  for (const auto& [name, shape] : plan.parameters) parameters += elements(shape);
  const bool has_classes = plan.output.kind == Output::Kind::classes;
  ordered_json json{{"family", plan.family},
                    {"image_size", plan.image_size},
                    {"channels", plan.channels},
                    {"output", has_classes ? "classes" : "features"},
                    {"output_size", plan.output.size},
                    {"sections", plan.sections.size()},
                    {"parameters", parameters},
                    {"macs", plan.macs},
                    {"hash", run.context.teacher.content_hash}};
  ordered_json parts = ordered_json::array();
  for (const OutputPart& part : plan.output.parts) parts.push_back(part.name);
  if (!parts.empty()) json["parts"] = parts;
  return json;
}

ordered_json recipe(const MeasuredRun& run) {
  const Plan& plan = *run.context.teacher.model.plan;
  const Scheme scheme = scheme_of(run.context.job.quantization, plan);
  Pairs pairs;
  int64_t rounded_weights = 0;
  for (const Product& product : plan.products) {
    const int64_t weights = elements(plan.parameters.at(plan.name(product.weight)));
    if (scheme.contains(product.weight)) rounded_weights += weights;
    pairs.add(product.convolution && product.convolution->kernel > 1 ? "convolution: weight x maps" : "layer: weight x input",
              operand(scheme, product.weight), operand(scheme, product.input), weights);
  }
  for (const Attention& attention : plan.attention) {
    pairs.add("attention: query x key", operand(scheme, attention.query), operand(scheme, attention.key), 0);
    pairs.add("attention: probabilities x value", operand(scheme, attention.probabilities), operand(scheme, attention.value),
              0);
  }
  int64_t parameters = 0;
  for (const auto& [name, shape] : plan.parameters) parameters += elements(shape);
  return {{"name", run.context.job.quantization.recipe},
          {"products", pairs.json()},
          {"rounded_parameters", rounded_weights},
          {"float_parameters", parameters - rounded_weights},
          {"float_always", "norms, softmax, activation functions, biases and the residual stream"}};
}

}  // namespace eidolon::parts
