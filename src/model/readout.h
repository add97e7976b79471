// How far two outputs are apart. The only place that knows whether a network gives classes or features.
#pragma once

#include "base/tensor.h"
#include "model/plan.h"

namespace eidolon {

/// Distance of the student's output from the teacher's, one value per image, differentiable in both, >= 0 up to rounding.
///  classes:  KL(softmax(teacher / T) || softmax(student / T)) in nats;
///  features: 1 - cosine(teacher, student) along the channels, the mean over the tokens or places of a part, then over the
///            parts; the temperature T is not used.
///  teacher, student: B x output.size, of one floating type.
Tensor divergence(const Output& output, const Tensor& teacher, const Tensor& student, double temperature = 1.0);

/// Mean absolute error between the outputs, one value per image: of classes in units of the logits; of features the mean over
/// the parts, each in units of the mean magnitude of the teacher's.
Tensor mean_absolute_error(const Output& output, const Tensor& teacher, const Tensor& student);

/// The features of one part, of `outputs` B x output.size: B x the part's shape.
Tensor part_of(const Output& output, size_t part, const Tensor& outputs);

/// Of a part's features, one value per image: the cosine between teacher and student, its mean over tokens or places.
Tensor mean_cosine(Layout layout, const Tensor& teacher, const Tensor& student);

/// |student - teacher|^2 / |teacher|^2, one value per image: the other figure of features.
Tensor relative_squared_error(const Tensor& teacher, const Tensor& student);

}  // namespace eidolon
