#include "model/plan.h"

#include <functional>
#include <numeric>

#include "base/error.h"

namespace eidolon {
namespace {

/// B x C x H x W -> B x (H/K W/K) x (C K K), for windows that neither overlap nor leave anything out.
Tensor tiles(const Tensor& maps, int64_t kernel) {
  const int64_t batch = maps.size(0), channels = maps.size(1), down = maps.size(2) / kernel, across = maps.size(3) / kernel;
  return maps.reshape({batch, channels, down, kernel, across, kernel})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({batch, down * across, channels * kernel * kernel});
}

}  // namespace

int64_t Section::elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

std::vector<NodeId> Plan::all_nodes() const {
  std::vector<NodeId> all;
  for (size_t i = 0; i < nodes.size(); ++i) all.push_back({static_cast<int32_t>(i)});
  return all;
}

std::vector<NodeId> Plan::nodes_of(int section) const {
  std::vector<NodeId> all = all_nodes();
  std::erase_if(all, [&](NodeId node) { return (*this)[node].section != section; });
  return all;
}

std::vector<Product> Plan::products_of(int section) const {
  std::vector<Product> all = products;
  std::erase_if(all, [&](const Product& product) { return (*this)[product.weight].section != section; });
  return all;
}

std::optional<NodeId> Plan::find(const std::string& name) const {
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].name == name) return NodeId{static_cast<int32_t>(i)};
  }
  return std::nullopt;
}

NodeId Plan::node(const std::string& name) const {
  if (const auto found = find(name)) return *found;
  throw Fault("'" + name + "' is not a node of this network (" + family + ")");
}

const Product* Plan::product_reading(NodeId input) const {
  for (const Product& product : products) {
    if (product.input == input) return &product;
  }
  return nullptr;
}

Tensor rows_of(const Product& product, const Tensor& input) {
  if (!product.convolution) return input;
  const auto [kernel, stride, padding] = *product.convolution;
  const bool tiled = stride == kernel && padding == 0 && input.size(2) % kernel == 0 && input.size(3) % kernel == 0;
  if (tiled) return tiles(input, kernel);
  return at::im2col(input, {kernel, kernel}, {1, 1}, {padding, padding}, {stride, stride}).transpose(1, 2);
}

}  // namespace eidolon
