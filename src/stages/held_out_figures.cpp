#include "stages/held_out_figures.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "finetuning/synthetic_images.h"
#include "stages/figure_text.h"
#include "stages/shard_set.h"

namespace eidolon {
namespace {

constexpr int64_t batch_size = 16;

/// Signal and noise energy per section, then the counts: summed over batches and ranks.
struct Sums {
  Tensor energies;  ///< float64, sections x 2
  EvaluationCounts counts;
  Tensor features;  ///< sums_of() an encoder's errors; undefined of a classifier
};

void add_batch(const Network& teacher, const Student& student, const Tensor& input, Sums& sums) {
  const std::vector<Tensor> wanted = forward_outputs(teacher, input);
  const std::vector<Tensor> given = forward_outputs(student.model, input, activation_tap(student));
  for (size_t section = 0; section < wanted.size(); ++section) {
    const Tensor energies = sums.energies[static_cast<int64_t>(section)];
    energies[0] += wanted[section].square().sum().cpu().to(at::kDouble);
    energies[1] += (wanted[section] - given[section]).square().sum().cpu().to(at::kDouble);
  }
  const Tensor expected = output_of(teacher, wanted).cpu(), answered = output_of(student.model, given).cpu();
  if (sums.features.defined()) {
    sums.features += sums_of(feature_errors(teacher.plan->output, expected, answered));
  } else {
    sums.counts += count(expected, answered, expected.argmax(-1));
  }
}

}  // namespace

std::vector<int64_t> held_out_share(const RunContext& context) {
  const std::vector<int64_t> all = held_out_images(context.job.synthesis);
  std::vector<int64_t> share;
  for (size_t i = static_cast<size_t>(context.cluster.rank()); i < all.size(); i += static_cast<size_t>(context.cluster.size()))
    share.push_back(all[i]);
  return share;
}

HeldOutFigures held_out_figures(const RunContext& context, const Student& student) {
  at::NoGradGuard no_grad;
  const SyntheticImages images = read_images(finished_shards(context), held_out_share(context));
  const Network teacher = context.teacher_on_device();
  const int64_t sections = teacher.plan->section_count();
  const Output& output = teacher.plan->output;
  Sums sums{.energies = at::zeros({sections, 2}, at::kDouble), .counts = {}, .features = {}};
  const bool has_classes = output.kind == Output::Kind::classes;
  if (!has_classes)
    sums.features = at::zeros({std::max<int64_t>(static_cast<int64_t>(output.parts.size()), 1), 2, 2}, at::kDouble);
  int64_t seen = 0;
  for (int64_t first = 0; first < images.size(); first += batch_size) {
    const Tensor bytes = images.bytes.narrow(0, first, std::min(batch_size, images.size() - first));
    add_batch(teacher, student, normalise(context.teacher.preprocessing, bytes.to(context.device())), sums);
    seen += bytes.size(0);
  }
  Tensor counts = sums.counts.to_tensor();
  context.cluster.communicator.all_reduce_sum(counts);
  context.cluster.communicator.all_reduce_sum(sums.energies);

  const EvaluationCounts all = EvaluationCounts::from_tensor(counts);
  const EvaluationFigures figures = figures_of(all);
  HeldOutFigures result{figures.images, all, figures.agreement, figures.kl, {}, {}};
  if (!has_classes) {
    context.cluster.communicator.all_reduce_sum(sums.features);
    const double images_of_all = context.cluster.communicator.sum(static_cast<double>(seen));
    result.images = std::llround(images_of_all);
    result.parts = figures_of(output, sums.features, images_of_all);
  }
  for (int64_t section = 1; section < sections; ++section) {
    if (teacher.plan->sections[static_cast<size_t>(section)].output == Layout::vector) continue;
    const Tensor energies = sums.energies[section];
    const double decibels = 10.0 * std::log10(energies[0].item<double>() / energies[1].item<double>());
    result.sqnr_per_block.push_back(std::isfinite(decibels) ? std::optional(decibels) : std::nullopt);
  }
  return result;
}

nlohmann::ordered_json json_of(const HeldOutFigures& f) {
  nlohmann::ordered_json object, blocks;
  if (f.parts.empty()) object = json_of({{"agreement", f.agreement}, {"kl", f.kl}});
  for (const PartFigures& part : f.parts) {
    object[part.part] = json_of({{"cosine", part.cosine}, {"relative_error", part.relative_error}});
  }
  bool all_defined = true;
  for (const auto& decibels : f.sqnr_per_block) {
    blocks.push_back(decibels ? nlohmann::ordered_json(*decibels) : nullptr);
    all_defined = all_defined && decibels;
  }
  object["sqnr_db_per_block"] = blocks;
  if (!all_defined) object["undefined"]["sqnr_db_per_block"] = "null where the student's tokens are the teacher's";
  return object;
}

std::string describe(const std::string& name, const HeldOutFigures& f) {
  char line[64];
  std::snprintf(line, sizeof line, "  %-11s ", name.c_str());
  std::string text = line;
  if (f.parts.empty()) text += "agreement " + percent_text(f.agreement) + "  KL " + nats_text(f.kl);
  for (const PartFigures& part : f.parts) {
    text +=
        part.part + ": cosine " + nats_text(part.cosine) + "  relative squared error " + nats_text(part.relative_error) + "  ";
  }
  text += "\n    SQNR per block, dB:";
  for (const auto& decibels : f.sqnr_per_block) {
    std::snprintf(line, sizeof line, " %.1f", decibels.value_or(0));
    text += decibels ? line : " (no noise)";
  }
  return text + "\n";
}

}  // namespace eidolon
