#include "finetuning/synthetic_images.h"

#include <set>
#include <string>

#include "base/error.h"
#include "base/pulse.h"
#include "storage/atomic_file.h"
#include "storage/image_shard.h"

namespace eidolon {

Tensor SyntheticImages::rows(const std::vector<int64_t>& images) const {
  std::vector<int64_t> numbers;
  for (const int64_t image : images) numbers.push_back(row_of.at(image));
  return at::tensor(numbers, at::kLong);
}

namespace {

bool holds_any(const ShardFile& file, const std::set<int64_t>& wanted) {
  const auto next = wanted.lower_bound(file.first);
  return next != wanted.end() && *next <= file.last;
}

ImageShard read_late_shard(const std::filesystem::path& path, double wait_seconds) {
  if (await_file(path, wait_seconds)) return read_shard(path);
  throw Fault(path.string() + " was not seen within " + std::to_string(static_cast<int64_t>(wait_seconds)) +
              " s; is the folder shared by all nodes? (run.shard_wait_seconds)");
}

}  // namespace

SyntheticImages read_images(const ShardFiles& shards, const std::vector<int64_t>& wanted) {
  SyntheticImages result;
  const std::set<int64_t> wanted_set(wanted.begin(), wanted.end());
  std::vector<Tensor> parts;
  for (const ShardFile& file : shards.files) {
    if (!holds_any(file, wanted_set)) continue;
    const ImageShard shard = read_late_shard(file.path, shards.wait_seconds);
    pulse();
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
