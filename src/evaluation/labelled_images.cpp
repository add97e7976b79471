#include "evaluation/labelled_images.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <new>
#include <thread>
#include <utility>

#include "base/error.h"
#include "evaluation/image_decoder.h"

namespace eidolon {
namespace {

/// Calls work(0) ... work(count - 1), which must not throw, from `threads` threads, the caller's among them.
void share_out(int64_t count, int64_t threads, const std::function<void(int64_t)>& work) {
  std::atomic<int64_t> next = 0;
  const auto take_turns = [&] {
    for (int64_t i = next++; i < count; i = next++) {
      work(i);
    }
  };
  std::vector<std::jthread> helpers;
  for (int64_t i = 1; i < std::min(threads, count); ++i) {
    helpers.emplace_back(take_turns);
  }
  take_turns();
}

}  // namespace

LabelledBatch load_batch(std::span<const LabelledImage> images, int64_t channels, const ImageTransform& transform,
                         std::vector<std::string>& undecodable) {
  const auto count = static_cast<int64_t>(images.size());
  std::vector<std::string> problems(count);
  std::vector<Tensor> crops(count);
  share_out(count, at::get_num_threads(), [&](int64_t i) {
    try {
      crops[i] = with_decoded_image(images[i].path, channels,
                                    [&](const Tensor& picture) { return evaluation_crop(picture, transform); });
    } catch (const Error& error) {
      problems[i] = error.what();
    } catch (const std::exception&) {  // std::bad_alloc, or LibTorch's own complaint about memory, many lines long
      problems[i] = "image " + images[i].path.string() + ": too large for this machine's memory; shrink or remove the file";
    }
  });

  std::vector<Tensor> decoded;
  std::vector<int64_t> labels, positions;
  for (int64_t i = 0; i < count; ++i) {
    if (crops[i].defined()) {
      decoded.push_back(crops[i]);
      labels.push_back(images[i].label);
      positions.push_back(i);
    } else {
      undecodable.push_back(problems[i]);
    }
  }
  const Tensor none = at::empty({0, channels, transform.size, transform.size}, at::kByte);
  const Tensor stacked = decoded.empty() ? none : at::stack(decoded);
  return {.images = stacked, .labels = at::tensor(labels, at::kLong), .positions = std::move(positions)};
}

}  // namespace eidolon
