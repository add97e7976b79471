#include "stages/labelled_pass.h"

#include <algorithm>
#include <future>
#include <optional>
#include <utility>

#include "evaluation/labelled_images.h"
#include "reporting/progress.h"

namespace eidolon {
namespace {

/// This rank's images: every size-th.
std::vector<LabelledImage> own_share(const Cluster& cluster, const std::vector<LabelledImage>& all) {
  std::vector<LabelledImage> own;
  const auto size = static_cast<size_t>(cluster.size());
  for (size_t i = static_cast<size_t>(cluster.rank()); i < all.size(); i += size) own.push_back(all[i]);
  return own;
}

/// Where images of this rank's share, from `first` on, stand in the list of all.
Tensor rows_in_list(const Cluster& cluster, int64_t first, const std::vector<int64_t>& positions) {
  return (at::tensor(positions, at::kLong) + first) * cluster.size() + cluster.rank();
}

/// A share's batches, one after another. The next one is decoded while the device is busy with the last.
class DecodedBatches {
 public:
  struct Batch {
    int64_t first = 0, size = 0;  ///< in the share
    LabelledBatch decoded;
    std::vector<std::string> undecodable;
  };

  DecodedBatches(std::vector<LabelledImage> share, int64_t batch_size, const Preprocessing& preprocessing)
      : share_(std::move(share)),
        batch_size_(static_cast<size_t>(batch_size)),
        channels_(preprocessing.channels()),
        transform_{preprocessing.image_size, preprocessing.crop_pct,    preprocessing.interpolation,
                   preprocessing.resize,     preprocessing.crop_offset, preprocessing.mean} {
    decode_next();
  }

  std::optional<Batch> next() {
    if (!ahead_.valid()) return std::nullopt;
    Batch batch = ahead_.get();
    decode_next();
    return batch;
  }

 private:
  void decode_next() {
    if (begun_ == share_.size()) return;
    const size_t first = begun_, size = std::min(batch_size_, share_.size() - first);
    begun_ += size;
    ahead_ = std::async(std::launch::async, [this, first, size] {
      const at::NoGradGuard no_grad;
      Batch batch{.first = static_cast<int64_t>(first), .size = static_cast<int64_t>(size), .decoded = {}, .undecodable = {}};
      batch.decoded = load_batch({share_.data() + first, size}, channels_, transform_, batch.undecodable);
      return batch;
    });
  }

  const std::vector<LabelledImage> share_;
  const size_t batch_size_;
  const int64_t channels_;
  const ImageTransform transform_;
  size_t begun_ = 0;
  std::future<Batch> ahead_;  // destroyed first: it waits for the batch that reads the members above
};

}  // namespace

bool pass_over(const RunContext& context, const std::vector<LabelledImage>& images, std::vector<std::string>& undecodable,
               const std::function<void(const LabelledInput&)>& look) {
  const at::NoGradGuard no_grad;
  const Preprocessing& preprocessing = context.teacher.preprocessing;
  std::vector<LabelledImage> own = own_share(context.cluster, images);
  Progress progress("evaluate", static_cast<double>(own.size()), "images", context.cluster.is_root());
  DecodedBatches batches(std::move(own), context.job.evaluation.batch, preprocessing);
  while (!context.cluster.stop_requested()) {
    std::optional<DecodedBatches::Batch> batch = batches.next();
    if (!batch) break;
    undecodable.insert(undecodable.end(), batch->undecodable.begin(), batch->undecodable.end());
    progress.advance(static_cast<double>(batch->size));
    if (context.heartbeat) context.report("evaluate", "", progress);
    const LabelledBatch& decoded = batch->decoded;
    if (decoded.labels.size(0) == 0) continue;
    look({.images = normalise(preprocessing, decoded.images.to(context.device())),
          .labels = decoded.labels,
          .rows = rows_in_list(context.cluster, batch->first, decoded.positions)});
  }
  context.cluster.wait_for_all();
  return !context.cluster.agree_to_stop();
}

}  // namespace eidolon
