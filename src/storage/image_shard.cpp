#include "storage/image_shard.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/bounded_json.h"
#include "base/error.h"
#include "storage/tensor_archive.h"

namespace eidolon {

namespace {

constexpr int64_t any = -1;
constexpr int64_t crops = 4;  // the largest number of crops of an image

struct Field {
  const char* name;
  Tensor ImageShard::*tensor;
  at::ScalarType dtype;
  std::vector<int64_t> shape;  // after the first dimension
  bool required;
};

const std::array<Field, 7>& fields() {
  static const std::array<Field, 7> all{{
      {"images", &ImageShard::images, at::kByte, {any, any, any}, true},
      {"global_index", &ImageShard::global_index, at::kLong, {}, true},
      {"semantic_classes", &ImageShard::semantic_classes, at::kInt, {crops}, false},
      {"crop_boxes", &ImageShard::crop_boxes, at::kInt, {crops, 4}, false},
      {"class_logits", &ImageShard::class_logits, at::kFloat, {crops}, false},
      {"soft_labels", &ImageShard::soft_labels, at::kFloat, {any}, false},
      {"losses", &ImageShard::losses, at::kFloat, {any}, false},
  }};
  return all;
}

bool has_shape(const Tensor& tensor, const Field& field, int64_t images) {
  if (tensor.dim() != static_cast<int64_t>(field.shape.size()) + 1 || tensor.size(0) != images) return false;
  for (std::size_t i = 0; i < field.shape.size(); ++i) {
    if (field.shape[i] != any && field.shape[i] != tensor.size(static_cast<int64_t>(i) + 1)) return false;
  }
  return true;
}

void require_valid(const ImageShard& shard, const std::filesystem::path& path) {
  const auto refuse = [&](const std::string& cause) {
    throw Fault(path.string() + " is not an image shard: " + cause + "; remove it and run again");
  };
  const int64_t images = shard.images.defined() && shard.images.dim() > 0 ? shard.images.size(0) : 0;
  for (const Field& field : fields()) {
    const Tensor& tensor = shard.*field.tensor;
    if (!tensor.defined() && field.required) refuse(std::string("it has no /") + field.name);
    if (!tensor.defined()) continue;
    if (tensor.scalar_type() != field.dtype) refuse(std::string("wrong dtype of /") + field.name);
    if (!has_shape(tensor, field, images)) refuse(std::string("wrong shape of /") + field.name);
  }
  const std::size_t columns = shard.losses.defined() ? static_cast<std::size_t>(shard.losses.size(1)) : 0;
  if (columns != shard.loss_names.size()) refuse("/losses and loss_names differ in length");
}

std::vector<std::string> parse_names(const std::string& text, const std::filesystem::path& path) {
  const auto json = bounded_json(text);
  const bool is_list = json.is_array() && std::all_of(json.begin(), json.end(), [](const auto& n) { return n.is_string(); });
  if (!is_list)
    throw Fault(path.string() + " is not an image shard: loss_names is not a JSON list of names; remove it and run again");
  return json.get<std::vector<std::string>>();
}

}  // namespace

void write_shard(const std::filesystem::path& path, const ImageShard& shard) {
  require_valid(shard, path);
  TensorArchive archive{{}, shard.attributes};
  for (const Field& field : fields()) {
    if ((shard.*field.tensor).defined()) archive.tensors[field.name] = shard.*field.tensor;
  }
  archive.attributes["layout"] = "NCHW";
  if (shard.images.size(1) == 1) archive.attributes["channels"] = "L";
  if (shard.images.size(1) == 3) archive.attributes["channels"] = "RGB";
  if (!shard.loss_names.empty()) archive.attributes["loss_names"] = nlohmann::json(shard.loss_names).dump();
  write_archive(path, "eidolon image shard", archive);
}

ImageShard read_shard(const std::filesystem::path& path) {
  const TensorArchive archive = read_archive(path);
  ImageShard shard;
  for (const Field& field : fields()) {
    const auto found = archive.tensors.find(field.name);
    if (found != archive.tensors.end()) shard.*field.tensor = found->second;
  }
  shard.attributes = archive.attributes;
  if (const auto names = shard.attributes.extract("loss_names")) shard.loss_names = parse_names(names.mapped(), path);
  require_valid(shard, path);
  return shard;
}

}  // namespace eidolon
