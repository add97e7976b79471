// Limits on the size of pictures, and on the number of large ones in memory.
//
// A small file may declare any size, and many threads decode at once. A picture needs up to 15 bytes per pixel: a
// progressive JPEG of four colours without subsampling keeps 8 bytes of coefficients, 4 of CMYK and 3 of RGB. Pictures
// of up to 16 megapixels (0.25 GB) are decoded by all threads at once. Larger ones are decoded one after the other, and
// those beyond 179 megapixels (2.7 GB) are refused. Including the files, decoding needs at most threads x 0.3 GB + 3.7
// GB. Which pictures are refused depends neither on the machine nor on the number of threads.
#pragma once

#include <cstdint>
#include <mutex>

namespace eidolon {

constexpr int64_t kLargestPicture = 178'956'970;      ///< pixels, the limit of Pillow (DecompressionBombError)
constexpr int64_t kLongestStrip = 256;                ///< longest ratio of the sides: resizing enlarges the longer side as well
constexpr int64_t kLargePicture = int64_t{16} << 20;  ///< pixels; larger ones are decoded one at a time
constexpr uint64_t kLargestFile = uint64_t{1} << 30;  ///< bytes
constexpr uint64_t kLargeFile = uint64_t{64} << 20;   ///< bytes; larger ones are decoded one at a time

/// Reserves memory for one picture, from before its bytes are read until it is no longer needed. A thread must hold
/// only one at a time: with two large ones it would wait for itself.
class PictureSlot {
 public:
  /// Waits until no other large picture is in memory, if this one is large. Throws BadInput with the reason, without a
  /// file name, beyond the limits.
  void admit_file(uint64_t bytes);
  void admit_pixels(int64_t height, int64_t width);

 private:
  void take_turn();
  std::unique_lock<std::mutex> turn_;
};

}  // namespace eidolon
