#include "stages/held_out_figures.h"

#include <cmath>
#include <cstdio>

#include "finetuning/synthetic_images.h"
#include "stages/shard_set.h"

namespace eidolon {
namespace {

constexpr int64_t batch_size = 16;

/// Signal and noise energy per block, then the counts: summed over batches and ranks.
struct Sums {
  Tensor energies;  ///< float64, depth x 2
  EvaluationCounts counts;
};

void add_batch(const VisionTransformer& teacher, const Student& student, const Tensor& input, Sums& sums) {
  const Tap quantize = activation_tap(student);
  Tensor reference = embed(teacher, input), tokens = embed(student.model, input, quantize);
  for (int block = 0; block < teacher.architecture.depth; ++block) {
    reference = forward_block(teacher, block, reference);
    tokens = forward_block(student.model, block, tokens, quantize);
    sums.energies[block][0] += reference.square().sum().cpu().to(at::kDouble);
    sums.energies[block][1] += (reference - tokens).square().sum().cpu().to(at::kDouble);
  }
  const Tensor expected = classify(teacher, reference).cpu();
  sums.counts += count(expected, classify(student.model, tokens, quantize).cpu(), expected.argmax(-1));
}

}  // namespace

std::vector<int64_t> held_out_share(const RunContext& context) {
  const SynthesisJob& job = context.job.synthesis;
  const int64_t end = static_cast<int64_t>(units_of(job).size()) * job.unit_images;
  std::vector<int64_t> share;
  for (int64_t image = job.images + context.cluster.rank(); image < end; image += context.cluster.size())
    share.push_back(image);
  return share;
}

HeldOutFigures held_out_figures(const RunContext& context, const Student& student) {
  at::NoGradGuard no_grad;
  const SyntheticImages images = read_images(finished_shards(context), held_out_share(context));
  const VisionTransformer teacher = context.teacher_on_device();
  Sums sums{at::zeros({teacher.architecture.depth, 2}, at::kDouble), {}};
  for (int64_t first = 0; first < images.size(); first += batch_size) {
    const Tensor bytes = images.bytes.narrow(0, first, std::min(batch_size, images.size() - first));
    add_batch(teacher, student, normalise(context.teacher.preprocessing, bytes.to(context.device())), sums);
  }
  Tensor counts = sums.counts.to_tensor();
  context.cluster.communicator.all_reduce_sum(counts);
  context.cluster.communicator.all_reduce_sum(sums.energies);

  const EvaluationFigures figures = figures_of(EvaluationCounts::from_tensor(counts));
  HeldOutFigures result{figures.images, figures.agreement, figures.kl, {}};
  for (int64_t block = 0; block < teacher.architecture.depth; ++block) {
    const double signal = sums.energies[block][0].item<double>(), noise = sums.energies[block][1].item<double>();
    result.sqnr_per_block.push_back(10.0 * std::log10(signal / noise));
  }
  return result;
}

std::string describe(const std::string& name, const HeldOutFigures& f) {
  char line[256];
  std::snprintf(line, sizeof line,
                "  %-11s agreement %6.2f +- %.2f %%  KL %.4f +- %.4f  (%ld images)\n    SQNR per block, dB:", name.c_str(),
                100 * f.agreement.value, 100 * f.agreement.error, f.kl.value, f.kl.error, static_cast<long>(f.images));
  std::string text = line;
  for (const double decibels : f.sqnr_per_block) {
    std::snprintf(line, sizeof line, " %.1f", decibels);
    text += line;
  }
  return text + "\n";
}

}  // namespace eidolon
