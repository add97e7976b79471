// Attention priors beside what the stored images attain.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "reporting/picture.h"
#include "stages/report/parts.h"
#include "storage/image_shard.h"
#include "synthesis/objective.h"
#include "synthesis/terms/attention_prior.h"

namespace eidolon::parts {
namespace {

using nlohmann::ordered_json;

constexpr int64_t most_images = 4;

bool uses_prior(const SynthesisJob& job) {
  return job.method == "sardfq" && job.sardfq.prior_weight.value_or(0) != 0;
}

ordered_json rows_of_map(const Tensor& map, int64_t grid) {
  ordered_json rows = ordered_json::array();
  const Tensor values = map.to(at::kCPU, at::kFloat).reshape({grid, grid}).contiguous();
  for (int64_t row = 0; row < grid; ++row) {
    const float* const begin = values.const_data_ptr<float>() + row * grid;
    rows.push_back(std::vector<float>(begin, begin + grid));
  }
  return rows;
}

double correlation(const Tensor& a, const Tensor& b) {
  const Tensor x = (a - a.mean()).flatten(), y = (b - b.mean()).flatten();
  return (x.dot(y) / (x.norm() * y.norm()).clamp_min(1e-12)).item<double>();
}

}  // namespace

ordered_json attention(const MeasuredRun& run) {
  const at::NoGradGuard no_grad;
  const SynthesisJob& job = run.recorded.job().synthesis;
  if (!uses_prior(job)) throw BadInput("no attention prior was used");
  for (const Unit& unit : units_on_disk(run.recorded, units_of(job))) {
    if (!is_optimised(job, unit)) continue;
    const SynthesisTeacher teacher = run.context.synthesis_teacher();
    const Tensor images = read_shard(run.recorded.shard(unit)).images;
    const Unit shown{.first = unit.first, .images = std::min<int64_t>(most_images, images.size(0))};
    const Tensor bytes = images.narrow(0, 0, shown.images);
    const UnitObjective objective = draw_objective(teacher, job, shown);
    const AttentionPrior prior = drawn_prior(teacher, job.seed, shown);
    const Seen seen = look(teacher, objective, normalise(teacher.preprocessing, bytes.to(teacher.device())));
    const size_t last = seen.attention.size() - 1;
    const int64_t heads = prior.maps.back().size(1), patches = prior.maps.back().size(2);
    const int64_t grid = teacher.plan().attention[last].grid;
    ordered_json list = ordered_json::array();
    for (int64_t i = 0; i < shown.images; ++i) {
      const int64_t head = i % heads;
      const Tensor row = seen.attention[last].class_row[i][head].to(at::kFloat);
      const Tensor attained = row.narrow(0, row.size(0) - patches, patches), wanted = prior.maps.back()[i][head];
      list.push_back({{"index", shown.first + i},
                      {"head", head},
                      {"png", png_data_uri(bytes[i])},
                      {"prior", rows_of_map(wanted, grid)},
                      {"attained", rows_of_map(attained, grid)},
                      {"correlation", correlation(attained, wanted)}});
    }
    return {{"measured_on", "synthetic"}, {"attention", last}, {"grid", grid}, {"maps", list}};
  }
  throw BadInput("no optimised image is on disk");
}

}  // namespace eidolon::parts
