// Images of the run: by kind, with what the teacher says of them, and how optimised ones grew.
#include <ATen/ops/avg_pool2d.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "job/synthesis_methods.h"
#include "reporting/picture.h"
#include "stages/growth_frames.h"
#include "stages/report/image_kinds.h"
#include "stages/report/parts.h"
#include "stages/unit_work.h"
#include "storage/image_shard.h"
#include "synthesis/unit.h"

namespace eidolon::parts {
namespace {

using nlohmann::ordered_json;

constexpr size_t most_of_a_kind = 10;  ///< pictures
constexpr int64_t halved_from = 160;   ///< pixels a side: larger pictures are shown at half size, in a quarter of the bytes

std::string small_picture(const Tensor& bytes) {
  if (bytes.size(1) < halved_from) return png_data_uri(bytes);
  const Tensor half = at::avg_pool2d(bytes.to(at::kFloat).unsqueeze(0), {2, 2}).squeeze(0);
  return png_data_uri(half.round().to(at::kByte));
}

/// What the teacher answers, where it has classes.
ordered_json answer(const MeasuredRun& run, const Tensor& probabilities) {
  const auto index = probabilities.argmax().item<int64_t>();
  return {{"class", run.class_name(index)}, {"probability", probabilities[index].item<double>()}};
}

bool has_classes(const MeasuredRun& run) {
  return run.context.teacher.model.plan->output.kind == Output::Kind::classes;
}

Tensor probabilities_of(const MeasuredRun& run, const Tensor& bytes) {
  const Tensor input = normalise(run.context.teacher.preprocessing, bytes.to(run.context.device()));
  return forward(run.context.teacher_on_device(), input).softmax(-1).cpu();
}

std::optional<Unit> first_optimised(const RecordedRun& run) {
  const SynthesisJob& job = run.job().synthesis;
  for (const Unit& unit : units_on_disk(run, units_of(job))) {
    if (is_optimised(job, unit)) return unit;
  }
  return std::nullopt;
}

}  // namespace

ordered_json pictures(const MeasuredRun& run) {
  const at::NoGradGuard no_grad;
  const auto kinds = images_by_kind(run.recorded, most_of_a_kind);
  if (kinds.empty()) throw BadInput("no image is on disk");
  ordered_json list = ordered_json::array();
  for (const auto& [kind, pictures] : kinds) {
    std::vector<Tensor> bytes;
    for (const StoredImage& picture : pictures) bytes.push_back(picture.bytes);
    const Tensor answers = has_classes(run) ? probabilities_of(run, at::stack(bytes)) : Tensor();
    ordered_json shown = ordered_json::array();
    for (size_t i = 0; i < pictures.size(); ++i) {
      ordered_json entry{{"index", pictures[i].global}, {"png", small_picture(pictures[i].bytes)}};
      for (const int64_t index : pictures[i].classes) entry["classes"].push_back(run.class_name(index));
      if (answers.defined()) entry["teacher"] = answer(run, answers[static_cast<int64_t>(i)]);
      shown.push_back(entry);
    }
    list.push_back({{"kind", kind}, {"pictures", shown}});
  }
  return {{"side", run.context.teacher.preprocessing.image_size},
          {"halved", run.context.teacher.preprocessing.image_size >= halved_from},
          {"data_free", run.context.data_free},
          {"kinds", list}};
}

ordered_json growth(const MeasuredRun& run) {
  const at::NoGradGuard no_grad;
  const SynthesisJob& job = run.recorded.job().synthesis;
  if (job.method == "given") throw BadInput("the images were given; nothing was optimised");
  const auto unit = first_optimised(run.recorded);
  if (!unit) throw BadInput("no optimised image is on disk");
  const std::filesystem::path shard = run.recorded.shard(*unit);
  const Tensor end = read_shard(shard).images;
  const int64_t shown = std::min<int64_t>(growth_images, end.size(0));
  const Tensor start = to_bytes(run.context.teacher.preprocessing, first_pixels(run.context, *unit).narrow(0, 0, shown));
  const Tensor quarter = read_growth_frame(shard, *unit);
  ordered_json frames = ordered_json::array();
  const auto add = [&](int64_t iteration, const Tensor& images) {
    const Tensor answers = has_classes(run) ? probabilities_of(run, images) : Tensor();
    ordered_json shown_images = ordered_json::array();
    for (int64_t i = 0; i < images.size(0); ++i) {
      ordered_json entry{{"png", small_picture(images[i])}};
      if (answers.defined()) entry["teacher"] = answer(run, answers[i]);
      shown_images.push_back(entry);
    }
    frames.push_back({{"iteration", iteration}, {"pictures", shown_images}});
  };
  add(0, start.cpu());
  if (quarter.defined()) add(growth_iteration(job), quarter);
  add(iterations_of(job), end.narrow(0, 0, shown));
  ordered_json json{{"first_index", unit->first}, {"frames", frames}};
  if (!quarter.defined()) json["note"] = "no frame between was kept when these images were made";
  return json;
}

}  // namespace eidolon::parts
