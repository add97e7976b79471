#include "stages/section_caches.h"

#include "finetuning/reconstruction.h"
#include "finetuning/sampler.h"
#include "stages/held_out_figures.h"

namespace eidolon {

int64_t section_cache_megabytes(const RunContext& context) {
  const FinetuningJob& job = context.job.finetuning;
  if (job.method != "blockwise") return 0;
  const Cluster& cluster = context.cluster;
  const Sampler sampler(job.seed, context.job.synthesis.images, job.batch, cluster.rank(), cluster.size());
  const auto training = static_cast<int64_t>(sampler.own_images().size());
  const auto held_out = static_cast<int64_t>(held_out_share(context).size());
  const int64_t own = whole_megabytes(section_cache_bytes(*context.teacher.model.plan, job, training, held_out));
  return cluster.communicator.max(own);
}

CacheBudget section_caches(const RunContext& context) {
  return cache_budget(context.device(), context.cluster.placement.ranks_on_device, context.job.run.cache_megabytes << 20);
}

}  // namespace eidolon
