#include "stages/labelled_pass.h"

#include <algorithm>

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

}  // namespace

bool pass_over(const RunContext& context, const std::vector<LabelledImage>& images, std::vector<std::string>& undecodable,
               const std::function<void(const LabelledInput&)>& look) {
  const at::NoGradGuard no_grad;
  const Preprocessing& preprocessing = context.teacher.preprocessing;
  const ImageTransform transform{preprocessing.image_size, preprocessing.crop_pct,    preprocessing.interpolation,
                                 preprocessing.resize,     preprocessing.crop_offset, preprocessing.mean};
  const std::vector<LabelledImage> own = own_share(context.cluster, images);
  const auto batch_size = static_cast<size_t>(context.job.evaluation.batch);
  Progress progress("evaluate", static_cast<double>(own.size()), "images", context.cluster.is_root());
  for (size_t first = 0; first < own.size() && !context.cluster.stop_requested(); first += batch_size) {
    const size_t size = std::min(batch_size, own.size() - first);
    const LabelledBatch batch = load_batch({own.data() + first, size}, preprocessing.channels(), transform, undecodable);
    progress.advance(static_cast<double>(size));
    if (context.heartbeat) context.report("evaluate", "", progress);
    if (batch.labels.size(0) == 0) continue;
    look({.images = normalise(preprocessing, batch.images.to(context.device())),
          .labels = batch.labels,
          .rows = rows_in_list(context.cluster, static_cast<int64_t>(first), batch.positions)});
  }
  context.cluster.wait_for_all();
  return !context.cluster.agree_to_stop();
}

}  // namespace eidolon
