#include "model/parts/run_steps.h"

#include <utility>
#include <variant>

#include "model/parts/layers.h"

namespace eidolon {
namespace {

/// The running value, and what open branches kept.
struct Runner {
  const Network& network;
  const Tap& tap;
  Tensor x;
  std::vector<Tensor> kept = {};

  void operator()(const steps::Branch&) { kept.push_back(x); }
  void operator()(const steps::Join&) {
    x = kept.back() + x;
    kept.pop_back();
  }
  void operator()(const steps::Norm& norm) { x = layer_norm(network, norm.name, x, norm.epsilon); }
  void operator()(const steps::Multiply& step) { x = multiply(network, network.plan->products[step.product], x, tap); }
  void operator()(const steps::Attend& step) { x = attend(network, network.plan->attention[step.attention], x, tap); }
  void operator()(const steps::Gelu&) { x = at::gelu(x); }
  void operator()(const steps::Prepend& step) {
    const Tensor& tokens = network[step.tokens];
    x = at::cat({tokens.expand({x.size(0), tokens.size(1), tokens.size(2)}), x}, 1);
  }
  void operator()(const steps::Add& step) { x = x + network[step.parameter]; }
  void operator()(const steps::SelectToken& step) { x = x.select(1, step.token); }
};

}  // namespace

Tensor run_steps(const Network& network, const std::vector<Step>& steps, const Tensor& x, const Tap& tap) {
  Runner runner{.network = network, .tap = tap, .x = x};
  for (const Step& step : steps) std::visit(runner, step);
  return std::move(runner.x);
}

}  // namespace eidolon
