#include "finetuning/synthetic_images.h"

#include <set>

#include "base/error.h"
#include "storage/image_shard.h"

namespace eidolon {

Tensor SyntheticImages::rows(const std::vector<int64_t>& images) const {
  std::vector<int64_t> numbers;
  for (const int64_t image : images) numbers.push_back(row_of.at(image));
  return at::tensor(numbers, at::kLong);
}

SyntheticImages read_images(const std::vector<std::filesystem::path>& shards, const std::vector<int64_t>& wanted) {
  SyntheticImages result;
  const std::set<int64_t> wanted_set(wanted.begin(), wanted.end());
  std::vector<Tensor> parts;
  for (const std::filesystem::path& path : shards) {
    const ImageShard shard = read_shard(path);
    for (int64_t row = 0; row < shard.images.size(0); ++row) {
      const auto index = shard.global_index[row].item<int64_t>();
      if (!wanted_set.contains(index)) continue;
      result.row_of[index] = result.size();
      result.global.push_back(index);
      parts.push_back(shard.images[row].clone());
    }
  }
  if (result.global.size() != wanted_set.size()) {
    throw Fault("the shards hold " + std::to_string(result.global.size()) + " of " + std::to_string(wanted_set.size()) +
                " images that this rank needs; run the synthesis again, it makes what is missing");
  }
  if (!parts.empty()) result.bytes = at::stack(parts);
  return result;
}

}  // namespace eidolon
