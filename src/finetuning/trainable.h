// What a phase of fine-tuning trains: student tensors with their Adam state and their own learning rate.
#pragma once

#include <string>
#include <vector>

#include "numerics/adam.h"
#include "quantization/student.h"

namespace eidolon {

struct Trainable {
  std::string name;  ///< as in a checkpoint: "student/blocks.0.attn.qkv.weight", "quantizers/blocks.0.attn.q/scale"
  Tensor parameter;  ///< the student's own tensor (shared storage), a leaf that requires gradients
  Tensor rate;       ///< learning rate at the schedule's peak, broadcasts to the parameter
  AdamMoments moments;
  bool transient = false;  ///< no tensor of the student: it lives in its phase, and checkpoints keep its value with its moments
  Tensor lowest{};         ///< of a scale: what no step takes it below, of the parameter's shape; undefined: anything goes
};

/// Weights and biases of `products`. Rates come from the calibrated student, which a resumed phase sees unchanged. A
/// weight's rate is `rate` quantizer steps of its channel per iteration, and its bias's the same, so that one number suits
/// every layer and bit width; a format with uneven steps counts by their mean, and without a quantizer the step is taken at 8
/// bits of its largest value.
std::vector<Trainable> trainable_weights(Student& student, const Student& calibrated, const std::vector<Product>& products,
                                         double rate);
/// The biases alone, at the same rates.
std::vector<Trainable> trainable_biases(Student& student, const Student& calibrated, const std::vector<Product>& products,
                                        double rate);

/// The low-rank factors beside the weights of `products`, where there are any: a step changes an element of their product by
/// about `rate` quantizer steps, as one of the weights' does.
std::vector<Trainable> trainable_factors(Student& student, const Student& calibrated, const std::vector<Product>& products,
                                         double rate);

/// The scales of the quantizers on `nodes`; the rate is relative to each calibrated scale, of which a tenth is the least that
/// training reaches: a quantizer's scale is positive.
std::vector<Trainable> trainable_scales(Student& student, const Student& calibrated, const std::vector<NodeId>& nodes,
                                        double rate);

/// The student's tensors among them, by name.
TensorMap student_tensors_of(const std::vector<Trainable>& trainables);

/// Ends training: the tensors stop requiring gradients.
void freeze(std::vector<Trainable>& trainables);

}  // namespace eidolon
