#include "stages/labelled_set.h"

#include "cluster/on_root.h"

namespace eidolon {

std::vector<LabelledImage> labelled_images(const RunContext& context) {
  const EvaluationJob& job = context.job.evaluation;
  if (job.images.empty()) return {};
  const auto list = [&] { return list_labelled_images(job.images, job.classes, context.teacher.model.architecture.classes); };
  from_root(context.cluster.communicator, [&] {
    list();
    return std::string();
  });
  return list();
}

}  // namespace eidolon
