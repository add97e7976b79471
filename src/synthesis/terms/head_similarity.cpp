#include "synthesis/terms/head_similarity.h"

#include <algorithm>

#include "base/error.h"

namespace eidolon {
namespace {

constexpr double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;  // of Wang et al., 2004, for a range of 1

/// B x P x H x P: for every query the heads' rows over the keys, from 0 to 1; the queries of all windows one after the other.
/// In float32 at least: in bfloat16 a row's extremes would be shared by several keys.
Tensor head_maps(const Tensor& query, const Tensor& key) {
  const auto wide = [](const Tensor& tensor) { return tensor.to(at::promote_types(tensor.scalar_type(), at::kFloat)); };
  Tensor logits = at::matmul(wide(query), wide(key).transpose(-2, -1)).transpose(-3, -2);
  if (logits.dim() == 5) logits = logits.flatten(1, 2);
  const Tensor lowest = logits.amin(-1, true);
  return (logits - lowest) / (logits.amax(-1, true) - lowest + 1e-8);
}

/// x_i + x_j for all pairs of heads.
Tensor pair_sums(const Tensor& x) {
  return x.unsqueeze(-1) + x.unsqueeze(-2);
}

/// maps: B x P x H x P. Returns B x P x H x H.
Tensor similarity(const Tensor& maps) {
  const Tensor mean = maps.mean(-1), centred = maps - mean.unsqueeze(-1);
  const Tensor covariance = at::matmul(centred, centred.transpose(-2, -1)) / static_cast<double>(maps.size(-1));
  const Tensor variance = covariance.diagonal(0, -2, -1);
  const Tensor luminance = (2 * mean.unsqueeze(-1) * mean.unsqueeze(-2) + c1) / (pair_sums(mean.square()) + c1);
  return luminance * (2 * covariance + c2) / (pair_sums(variance) + c2);
}

}  // namespace

Tensor head_similarity_loss(const std::vector<Tensor>& queries, const std::vector<Tensor>& keys) {
  Tensor loss;
  for (size_t block = 0; block < queries.size(); ++block) {
    const Tensor ssim = similarity(head_maps(queries[block], keys[block]));
    const auto heads = static_cast<double>(ssim.size(-1));
    // A head's pair with itself adds 1 - 1.
    const Tensor term = (1 - ssim.square()).sum({-2, -1}).mean(-1) / (heads * (heads - 1));
    loss = loss.defined() ? loss + term : term;
  }
  return loss / static_cast<double>(queries.size());
}

DrawnTerm draw_head_similarity_term(const TermContext& context) {
  const std::vector<Attention>& attention = context.teacher.plan().attention;
  if (attention.empty() || std::ranges::any_of(attention, [](const Attention& one) { return one.heads < 2; })) {
    throw BadInput(
        "synthesis.psaq.head_similarity_weight compares attention heads, of which the teacher has too few; set it to 0");
  }
  return {.loss = [](const Seen& seen) {
    std::vector<Tensor> queries, keys;
    for (const AttentionReading& reading : seen.attention) {
      queries.push_back(reading.query);
      keys.push_back(reading.key);
    }
    return head_similarity_loss(queries, keys);
  }};
}

}  // namespace eidolon
