// A shard of images whose parts lie, made by HDF5 itself (forged_archive.h), or a sealed one with some bytes changed.
#include "storage/image_shard.h"
#include "tests/fuzz/forged_archive.h"
#include "tests/fuzz/reading.h"

namespace {

using namespace eidolon;

TensorArchive sound_shard(const std::filesystem::path& file) {
  ImageShard shard{.images = at::arange(24, at::kByte).reshape({2, 3, 2, 2}),
                   .global_index = at::arange(2, at::kLong),
                   .semantic_classes = at::zeros({2, 4}, at::kInt),
                   .crop_boxes = at::zeros({2, 4, 4}, at::kInt),
                   .class_logits = at::zeros({2, 4}),
                   .soft_labels = at::ones({2, 5}),
                   .losses = at::ones({2, 2}),
                   .loss_names = {"a", "b"},
                   .attributes = {{"synthesis_id", "1"}, {"identity", "{}"}, {"data_free", "true"}}};
  write_shard(file, shard);
  return read_archive(file);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::filesystem::path file = fuzz::scratch() / "images-00000000-00000001.h5";
  static const TensorArchive sound = sound_shard(file);
  fuzz::Choices choices(fuzz::bytes_of(data, size));
  const uint64_t changes = choices.below(4);  // behind the seal
  std::string bytes = fuzz::forged_archive(sound, choices);
  if (bytes.empty()) return -1;
  for (uint64_t i = 1; i < changes; ++i) bytes[choices.number() % bytes.size()] ^= static_cast<char>(1 + choices.below(255));
  fuzz::put(file, bytes);
  ImageShard shard;
  if (!fuzz::reads(bytes.size(), [&] { shard = read_shard(file); })) return 0;
  if (shard.global_index.size(0) != shard.images.size(0)) __builtin_trap();
  return 0;
}
