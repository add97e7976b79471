// How large a picture may be, and how many large ones are in memory at a time.
//
// A few bytes may declare any size, and many threads decode at once. The greatest need of a picture is 15 bytes a pixel: a
// progressive JPEG of four colours without subsampling keeps 8 of coefficients, 4 of ink and 3 of RGB. So pictures of up to 16
// megapixels (0.25 GB) are decoded by all threads at once, larger ones one after the other, and none beyond 179 megapixels
// (2.7 GB). With the files themselves, decoding needs at most threads x 0.3 GB + 3.7 GB, whatever lies in the folder. Which
// pictures are refused depends neither on the machine nor on the number of threads.
#pragma once

#include <cstdint>
#include <mutex>

namespace eidolon {

constexpr int64_t kLargestPicture = 178'956'970;      ///< pixels; Pillow refuses larger ones too (DecompressionBombError)
constexpr int64_t kLongestStrip = 256;                ///< longer side over shorter: resizing enlarges the longer as well
constexpr int64_t kLargePicture = int64_t{16} << 20;  ///< pixels; larger ones take turns
constexpr uint64_t kLargestFile = uint64_t{1} << 30;  ///< bytes
constexpr uint64_t kLargeFile = uint64_t{64} << 20;   ///< bytes; larger ones take turns

/// One picture's place in memory, from before its bytes are read until it is no longer needed. A thread that holds one must not
/// ask for another: if both are large, it would wait for itself.
class PicturePlace {
 public:
  /// Waits for other large ones if this is large. BadInput with the reason, without a file name, for what is never decoded.
  void admit_file(uint64_t bytes);
  void admit_pixels(int64_t height, int64_t width);

 private:
  void take_turn();
  std::unique_lock<std::mutex> turn_;
};

}  // namespace eidolon
