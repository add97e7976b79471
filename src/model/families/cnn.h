// Convolutional networks with BatchNorm: ResNet (He et al., 2016, arXiv 1512.03385), MobileNetV1 (Howard et al., 2017, arXiv
// 1704.04861), MobileNetV2 (Sandler et al., 2018, arXiv 1801.04381) and EfficientNet-Lite, each as a list of units.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/loading/config.h"
#include "model/network.h"

namespace eidolon {

struct ConvolutionFacts {
  std::string name;  ///< in the file, of its weight: "layer1.0.conv1"
  int64_t inputs = 0, outputs = 0;
  int64_t kernel = 1, stride = 1, padding = 0, padding_after = 0, groups = 1;
  std::string activation = "none";  ///< behind it
};

/// What is run, calibrated and reconstructed together: a stem, a block, a last convolution.
struct UnitFacts {
  std::string name;
  std::vector<ConvolutionFacts> convolutions = {};
  bool has_skip = false;
  std::vector<ConvolutionFacts> skip = {};        ///< empty: what enters the unit
  int64_t subsampled_by = 1, added_channels = 0;  ///< of the skip without parameters (model/step.h, Subsample)
  std::string activation = "none";                ///< behind the sum
  bool pools = false;                             ///< ends with a 3 x 3 maximum of stride 2
};

struct CnnFacts {
  int64_t channels = 3;
  int64_t image_size = 224;
  std::vector<UnitFacts> units;
  int64_t width = 0;              ///< channels of the last unit
  std::string head = "fc";        ///< the classifier's name
  int64_t classes = 1000;         ///< 0: the network gives features
  std::string output = "pooled";  ///< what features are given: pooled | tokens (the last map) | both
};

/// Parameters and nodes have the file's names; a convolution's weight and bias have the BatchNorm behind it folded in.
/// "<name>.statistics", 2 x outputs, are mean and deviation of its outputs on the teacher's training data. Sections: the units
/// by their names, and "head".
std::shared_ptr<const Plan> cnn_plan(const CnnFacts& facts);
std::shared_ptr<const Plan> cnn_plan_from(const std::string& facts);  ///< from Plan::facts

/// Names of torchvision, timm, Keras ("conv_dw_1") and of the usual CIFAR ResNets ("linear").
bool looks_like_cnn(const TensorMap& tensors);

/// BadInput, naming `file`, if the parameters are not those of one of these networks.
Network read_cnn(TensorMap tensors, const ModelConfig& config, const std::string& file);

}  // namespace eidolon
