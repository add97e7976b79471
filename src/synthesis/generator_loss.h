// What a generator is trained for: GDFQ's two losses (Xu et al., ECCV 2020, arXiv 2003.03603) and ACQ's three (arXiv
// 2301.07266).
//
// ACQ's text states what its losses want, and no code of it was released; the formulas of the three are ours.
#pragma once

#include <string_view>
#include <vector>

#include "job/job.h"
#include "synthesis/generator.h"
#include "synthesis/objective.h"
#include "synthesis/synthesis_teacher.h"

namespace eidolon {

/// A Tap under which a network with BatchNorm computes as it does in training: every convolution's outputs take the mean and
/// deviation that BatchNorm kept, over this batch. What `inner` sees and gives back stays as it is. Both must outlive it.
Tap batch_mode_tap(const Network& network, Tap inner = {});

/// M = the sum over channels of squared maps, B x P, brought to a sum of 1 per image: where a network looks, without a gradient
/// graph (Zagoruyko and Komodakis, 2017, arXiv 1612.03928). maps: B x P x D, P places.
Tensor attention_of_maps(const Tensor& maps);

/// The centre of attention, B x 2: row and column, each in (0, 1). attention: B x P over a square of places.
Tensor attention_centre(const Tensor& attention);

/// -min(d(f1, f2) / d(z1, z2), 1) of each pair, for both of its images: mean absolute differences, of features in units of
/// their mean magnitude. What differs in noise alone shall differ in features (the mode-seeking form, Mao et al., 2019, arXiv
/// 1903.05628), so that class and place do not decide the whole image. features, noise: B x D, pairs side by side.
Tensor pair_loss(const Tensor& features, const Tensor& noise);

/// Mean over layers of |M_b / |M_b| - M_e / |M_e||^2 per image: M_b with the statistics of the batch, M_e with those kept. In
/// both, a sample that is like the training data is looked at alike.
Tensor consistency_loss(const std::vector<Tensor>& batch_mode, const std::vector<Tensor>& evaluation_mode);

/// The losses of weight other than 0, in the order of generator_losses().
std::vector<std::string_view> generator_terms(const SynthesisJob& job);

/// Of the images of `conditions`, which `pixels` shows: every loss of weight other than 0, one value per image. The statistics
/// of BatchNorm are those of this batch.
///  "class" cross entropy, "statistics" (terms/batch_statistics.h), "centre" squared distance, "pairs", "consistency",
///  "variation" (terms/total_variation.h).
std::vector<TermLoss> generator_losses(const SynthesisTeacher& teacher, const SynthesisJob& job, const Conditions& conditions,
                                       const Tensor& pixels);

/// The generator that the job asks for. BadInput if the teacher cannot train it: it needs classes and, for the losses that the
/// job weighs, BatchNorm's statistics and maps.
GeneratorShape generator_shape(const Plan& plan, const SynthesisJob& job);

}  // namespace eidolon
