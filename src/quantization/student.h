// The student: the teacher's plan with parameters of its own, and a quantizer per node of the scheme.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "model/network.h"
#include "quantization/quantizer.h"
#include "quantization/scheme.h"

namespace eidolon {

struct Student {
  Network model;  ///< float32 parameters, not yet rounded (the Tap rounds them in every forward pass)
  std::map<NodeId, Quantizer> quantizers;

  Student to(at::Device device) const;
  Student clone() const;
};

/// The form of a student that is not calibrated yet: every scale is 1. For what must be known before there is one.
Student uncalibrated(const Network& teacher, const Scheme& scheme);

/// The Tap that quantizes. Refers to `student`, which must outlive it.
Tap quantizing_tap(const Student& student);

/// The student with every weight already rounded, and a Tap for its activations alone: the same function, faster to evaluate.
Student with_rounded_weights(const Student& student);
Tap activation_tap(const Student& student);

/// The name, as below, of the first tensor with which a student computes nothing of use: a parameter that is not finite, a
/// scale or mu-law parameter that is not positive and finite, a zero point that is no integer. Nothing if all are sound.
std::optional<std::string> unsound_tensor(const Student& student);

/// "student/<parameter>" and "quantizers/<node>/scale|zero_point|companding|factor|float_channels|left|right", for checkpoints;
/// and back, checked against scheme and plan (Fault naming the first missing, misshapen or unsound entry).
TensorMap student_tensors(const Student& student);
Student student_from_tensors(const TensorMap& tensors, const Scheme& scheme, std::shared_ptr<const Plan> plan);

}  // namespace eidolon
