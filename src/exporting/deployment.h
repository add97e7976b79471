// A student as it is deployed: integers, their scales, and what stays float. The source of every export.
#pragma once

#include <map>
#include <memory>

#include "quantization/student.h"

namespace eidolon {

/// A product's weight as a runtime keeps it. With W_f, the columns of float channels, the product is
///   y = dequantized(codes) x + W_f x_f + left (right x) + bias.
struct DeployedWeight {
  QuantizerSpec spec;  ///< codes of integers are signed: -2^(b-1) .. 2^(b-1) - 1
  Tensor codes;        ///< of the weight's shape: int8, or uint8 bit patterns of a floating-point format; 0 in float channels
  Tensor scale;        ///< float32: [1], [outputs], or outputs x blocks
  Tensor zero_point;   ///< int8, of scale's shape; undefined if all are 0
  Tensor factor;       ///< of scales stored as E4M3: float32 [1] that multiplies them; otherwise undefined
  Tensor float_channels;   ///< int64 [k]; undefined: none
  Tensor float_columns;    ///< float32 outputs x k
  Tensor left{}, right{};  ///< low-rank factors, float32 outputs x r and r x inputs, rounded as they are stored; or undefined
};

struct Deployment {
  std::shared_ptr<const Plan> plan;
  std::map<NodeId, DeployedWeight> weights;  ///< of nodes that have integers
  std::map<NodeId, Quantizer> activations;   ///< of nodes that are rounded
  std::map<NodeId, double> shifts;           ///< what is subtracted from a product's input where no parameter could take it
  TensorMap parameters;                      ///< float32: all others
  std::map<NodeId, Tensor> borders = {};     ///< by a joint projection's weight, what it makes of the zeros around a grid that
                                             ///< does not divide into windows: its bias, less the
                                             ///< shift of its own input
};

/// The finished student. Weights have the codes with which `evaluate` computed (quantize_to_codes()).
Deployment deploy(const Student& student);

enum class ShiftedInputs {
  of_matrices,  ///< runtimes multiply unsigned maps with a zero point as fast, and without a pass over the maps
  all,          ///< for runtimes without zero points
};

/// The same without zero points of these inputs, in the order in which the products are computed.
///
/// A zero point z of an input x with step s is a shift c = (2^(b-1) - z) s: the integers of x - c, rounded without a zero
/// point, are those of x less 2^(b-1). What stands in front subtracts c: the bias of the norm, the bias of the values where the
/// probabilities stay float (their rows sum to 1), or else the export itself (Deployment::shifts). Behind it the bias of the
/// product gains W c, and the border of maps is -c. In the arithmetic of reals nothing changes.
Deployment with_shifts(Deployment deployment, ShiftedInputs inputs);

/// float32 values of the weight's codes, of the weight's shape; float channels are 0.
Tensor dequantized(const DeployedWeight& weight);

/// The weight that the network multiplies with: the same, the float columns in their channels, and left x right.
Tensor whole_weight(const DeployedWeight& weight);

}  // namespace eidolon
