#include "model/parts/layers.h"

#include <cmath>
#include <string>
#include <vector>

namespace eidolon {

Tensor multiply(const Network& network, const Product& product, const Tensor& x, const Tap& tap) {
  // In two statements: the order in which one call's arguments are evaluated, and shown, is the compiler's choice.
  const Tensor rows = rows_of(product, seen(tap, product.input, x));
  const Tensor weight = seen(tap, product.weight, network[product.weight]);
  return at::linear(rows, weight.flatten(1), network[product.bias]);
}

Tensor layer_norm(const Network& network, const std::string& name, const Tensor& x, double epsilon) {
  return at::layer_norm(x, {x.size(-1)}, network[name + ".weight"], network[name + ".bias"], epsilon);
}

Tensor attend(const Network& network, const Attention& attention, const Tensor& x, const Tap& tap) {
  const int64_t batch = x.size(0), tokens = x.size(1), heads = attention.heads;
  const std::vector<Product>& products = network.plan->products;
  const Tensor qkv = multiply(network, products[attention.qkv], x, tap);
  const int64_t width = qkv.size(-1) / 3;

  const Tensor split = qkv.reshape({batch, tokens, 3, heads, width / heads}).permute({2, 0, 3, 1, 4});
  const Tensor query = seen(tap, attention.query, split[0]);
  const Tensor key = seen(tap, attention.key, split[1]);
  const Tensor value = seen(tap, attention.value, split[2]);

  const double scale = 1.0 / std::sqrt(static_cast<double>(width / heads));
  const Tensor scores = at::matmul(query * scale, key.transpose(-2, -1));
  const at::ScalarType accumulate = at::promote_types(x.scalar_type(), at::kFloat);
  const Tensor softmax = at::softmax(scores, -1, accumulate).to(x.scalar_type());
  const Tensor mixed = at::matmul(seen(tap, attention.probabilities, softmax), value).transpose(1, 2);
  return multiply(network, products[attention.proj], mixed.reshape({batch, tokens, width}), tap);
}

}  // namespace eidolon
