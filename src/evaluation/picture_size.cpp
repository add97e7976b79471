#include "evaluation/picture_size.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace eidolon {
namespace {

std::mutex large_picture;

}  // namespace

void PictureSlot::take_turn() {
  if (!turn_) turn_ = std::unique_lock(large_picture);
}

void PictureSlot::admit_file(uint64_t bytes) {
  if (bytes > kLargestFile) throw BadInput("larger than 1 GiB");
  if (bytes > kLargeFile) take_turn();
}

void PictureSlot::admit_pixels(int64_t height, int64_t width) {
  const std::string declared = "declares " + std::to_string(width) + " x " + std::to_string(height) + " pixels, ";
  if (height < 1 || width < 1) throw BadInput(declared + "which is no picture");
  if (height > kLargestPicture / width) throw BadInput(declared + "more than 179 megapixels (Pillow's limit)");
  if (std::max(height, width) / std::min(height, width) > kLongestStrip)
    throw BadInput(declared + "one side more than 256 times the other");
  if (height * width > kLargePicture) take_turn();
}

}  // namespace eidolon
