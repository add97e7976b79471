#include "synthesis/output_statistics.h"

#include <map>
#include <utility>

namespace eidolon {
namespace {

constexpr double smallest_variance = 1e-12;  ///< keeps the square root's gradient finite

}  // namespace

Tap statistics_tap(const Plan& plan, int64_t images, std::vector<Tensor>& statistics, Tap inner) {
  std::map<NodeId, size_t> entries;
  for (const Product& product : plan.products) {
    if (product.output != NodeId{}) entries.emplace(product.output, entries.size());
  }
  statistics.assign(entries.size(), {});
  return [entries, images, &statistics, inner = std::move(inner)](NodeId node, const Tensor& tensor) {
    if (const auto found = entries.find(node); found != entries.end()) {
      const Tensor outputs = tensor.narrow(0, 0, images).to(at::kFloat);
      const Tensor mean = outputs.mean({0, 2, 3});
      const Tensor variance = (outputs - mean.view({1, -1, 1, 1})).square().mean({0, 2, 3});
      statistics[found->second] = at::stack({mean, (variance + smallest_variance).sqrt()});
      return tensor;
    }
    return seen(inner, node, tensor);
  };
}

}  // namespace eidolon
