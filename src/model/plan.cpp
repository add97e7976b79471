#include "model/plan.h"

#include <algorithm>
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

int64_t product_of(const std::vector<int64_t>& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
}

}  // namespace

int64_t Section::elements() const {
  return product_of(shape);
}

int64_t OutputPart::elements() const {
  return product_of(shape);
}

int64_t Attention::window_count() const {
  if (windows.side == 0) return 1;
  const int64_t across = (grid + windows.side - 1) / windows.side;
  return across * across;
}

int64_t Attention::tokens() const {
  return windows.side == 0 ? prefix_tokens + grid * grid : windows.side * windows.side;
}

bool Plan::is_head(int section) const {
  return section + 1 == section_count() && sections.back().output == Layout::vector && products_of(section).size() == 1;
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

bool Plan::is_only_reader_of_norm(const Product& product) const {
  return !product.norm.empty() && std::ranges::count(products, product.norm, &Product::norm) == 1;
}

Tensor rows_of(const Product& product, const Tensor& input) {
  if (!product.convolution) return input;
  const auto [kernel, stride, padding, padding_after, groups] = *product.convolution;
  const bool is_padded = padding > 0 || padding_after > 0;
  const bool tiled = stride == kernel && !is_padded && input.size(2) % kernel == 0 && input.size(3) % kernel == 0;
  if (tiled) return tiles(input, kernel);
  const bool even = padding == padding_after;
  const Tensor maps = even ? input : at::constant_pad_nd(input, {padding, padding_after, padding, padding_after});
  const int64_t border = even ? padding : 0;
  return at::im2col(maps, {kernel, kernel}, {1, 1}, {border, border}, {stride, stride}).transpose(1, 2);
}

}  // namespace eidolon
