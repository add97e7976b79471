#include "synthesis/output_statistics.h"

#include <torch/csrc/autograd/custom_function.h>

#include <map>
#include <utility>

namespace eidolon {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double smallest_variance = 1e-12;  ///< keeps the square root's gradient finite

/// Mean and variance per channel, float32 [2, channels], of the first images of maps [batch, channels, rows, columns]. The
/// gradient of one value is 1/n (g_mean + 2 g_variance (x - mean)): one pass over the maps, where autograd makes six and
/// changes the order of the values in memory.
class ChannelMoments : public torch::autograd::Function<ChannelMoments> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& maps, int64_t images) {
    const Tensor read = maps.narrow(0, 0, images).to(at::kFloat);
    const Tensor mean = read.mean({0, 2, 3}, /*keepdim=*/true);
    const Tensor variance = (read - mean).square_().mean({0, 2, 3});
    context->save_for_backward({maps, mean});
    context->saved_data["images"] = images;
    return at::stack({mean.flatten(), variance});
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &maps = saved[0], &mean = saved[1];
    const Tensor read = maps.narrow(0, 0, context->saved_data["images"].toInt());
    const double places = static_cast<double>(read.numel()) / static_cast<double>(read.size(1));
    const Tensor gradient = gradients[0].view({2, 1, -1, 1, 1}) / places;
    const Tensor slope = 2 * gradient[1];
    const Tensor of_read = at::addcmul(gradient[0] - slope * mean, read.to(at::kFloat), slope).to(maps.scalar_type());
    if (read.size(0) == maps.size(0)) return {of_read, Tensor()};
    Tensor of_all = at::zeros_like(maps);
    of_all.narrow(0, 0, read.size(0)).copy_(of_read);
    return {of_all, Tensor()};
  }
};

}  // namespace

Tap statistics_tap(const Plan& plan, int64_t images, std::vector<Tensor>& statistics, Tap inner) {
  std::map<NodeId, size_t> entries;
  for (const Product& product : plan.products) {
    if (product.output != NodeId{}) entries.emplace(product.output, entries.size());
  }
  statistics.assign(entries.size(), {});
  return [entries, images, &statistics, inner = std::move(inner)](NodeId node, const Tensor& tensor) {
    if (const auto found = entries.find(node); found != entries.end()) {
      const Tensor moments = ChannelMoments::apply(tensor, images);
      statistics[found->second] = at::stack({moments[0], (moments[1] + smallest_variance).sqrt()});
      return tensor;
    }
    return seen(inner, node, tensor);
  };
}

}  // namespace eidolon
