// How far two outputs are apart. The only place that knows whether a network gives classes or features.
#pragma once

#include "base/tensor.h"
#include "model/plan.h"

namespace eidolon {

/// Distance of the student's output from the teacher's, one value per image, differentiable in both, >= 0 up to rounding.
///  classes:  KL(softmax(teacher / T) || softmax(student / T)) in nats;
///  features: 1 - cosine(teacher, student); the temperature T is not used.
///  teacher, student: B x output.size, of one floating type.
Tensor divergence(const Output& output, const Tensor& teacher, const Tensor& student, double temperature = 1.0);

/// |student - teacher|^2 / |teacher|^2, one value per image: the other figure of features.
Tensor relative_squared_error(const Tensor& teacher, const Tensor& student);

}  // namespace eidolon
