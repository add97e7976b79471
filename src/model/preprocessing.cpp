#include "model/preprocessing.h"

#include <nlohmann/json.hpp>
#include <numeric>

#include "numerics/transfer.h"

namespace eidolon {
namespace {

Tensor per_channel(const std::vector<double>& values, at::TensorOptions options) {
  const Tensor host = at::tensor(values, at::kDouble).to(options.dtype().toScalarType());
  return sent_to(options.device(), host).reshape({1, -1, 1, 1});
}

}  // namespace

double Preprocessing::mean_std() const {
  return std::accumulate(std.begin(), std.end(), 0.0) / static_cast<double>(std.size());
}

Tensor Preprocessing::mean_tensor(at::TensorOptions options) const {
  return per_channel(mean, options);
}

Tensor Preprocessing::std_tensor(at::TensorOptions options) const {
  return per_channel(std, options);
}

Tensor normalise(const Preprocessing& preprocessing, const Tensor& bytes) {
  const at::TensorOptions options = at::TensorOptions(at::kFloat).device(bytes.device());
  return (bytes.to(at::kFloat) / 255.0 - preprocessing.mean_tensor(options)) / preprocessing.std_tensor(options);
}

Tensor to_bytes(const Preprocessing& preprocessing, const Tensor& normalised) {
  const at::TensorOptions options = at::TensorOptions(at::kFloat).device(normalised.device());
  const Tensor unit = normalised.to(at::kFloat) * preprocessing.std_tensor(options) + preprocessing.mean_tensor(options);
  return (unit * 255.0).round().clamp(0, 255).to(at::kByte);
}

std::string to_json(const Preprocessing& p) {
  return nlohmann::json{{"crop_offset", p.crop_offset},
                        {"crop_pct", p.crop_pct},
                        {"image_size", p.image_size},
                        {"interpolation", p.interpolation},
                        {"mean", p.mean},
                        {"resize", p.resize},
                        {"std", p.std}}
      .dump();
}

Preprocessing preprocessing_from_json(const std::string& text) {
  const nlohmann::json fields = nlohmann::json::parse(text);
  Preprocessing p;
  fields.at("image_size").get_to(p.image_size);
  fields.at("mean").get_to(p.mean);
  fields.at("std").get_to(p.std);
  fields.at("crop_pct").get_to(p.crop_pct);
  fields.at("interpolation").get_to(p.interpolation);
  fields.at("resize").get_to(p.resize);
  fields.at("crop_offset").get_to(p.crop_offset);
  return p;
}

}  // namespace eidolon
