// A network that makes images for a convolutional teacher from noise, a class and the place that the teacher shall look at.
//
// Its layers are GDFQ's (Xu et al., ECCV 2020, arXiv 2003.03603), the place as a condition is ACQ's (arXiv 2301.07266). ACQ has
// released no code: how class and place enter the first layer is ours.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "job/job.h"
#include "model/preprocessing.h"
#include "synthesis/unit.h"

namespace eidolon {

/// What B images are made from.
struct Conditions {
  Tensor noise;    ///< float32 B x 100, N(0, 1)
  Tensor classes;  ///< int64 B
  Tensor centres;  ///< float32 B x 2, the row and the column where attention shall centre, as shares of the side

  Conditions to(at::Device device) const;  ///< does not wait for it
};

/// Of the images [first, first + count) of a training batch: each two of them, 2k and 2k + 1, share class and centre and differ
/// in their noise. Centres ~ U(0.2, 0.8) along both axes. Drawn for (seed, image of the batch, step).
Conditions training_conditions(uint64_t seed, int64_t classes, int64_t first, int64_t count, int64_t step);

/// Of the images of a set: drawn for (seed, global index, pass), whatever rank asks. Pass 0 is the stored set; the others are
/// further images, of a stream that never repeats.
Conditions image_conditions(uint64_t seed, int64_t classes, const std::vector<int64_t>& images, int64_t pass);

/// What a generator is made for.
struct GeneratorShape {
  int64_t classes = 0;
  int64_t channels = 3, image_size = 224;  ///< of the images; sides are multiples of 4
  bool placed = true;                      ///< the centre is an input
};

struct Generator {
  GeneratorShape shape;
  TensorMap parameters;       ///< float32
  TensorMap statistics = {};  ///< of each norm: 2 x channels, mean and variance; empty until training has ended
};

/// The shapes of all parameters and statistics, by name. BadInput if the side of the images is no multiple of 4.
std::map<std::string, std::vector<int64_t>> generator_parameters(const GeneratorShape& shape);
std::map<std::string, std::vector<int64_t>> generator_statistics(const GeneratorShape& shape);

/// Random weights, drawn for (seed, parameter). On the CPU.
Generator initial_generator(const GeneratorShape& shape, uint64_t seed);

/// Normalised float32 B x C x S x S, within the valid colours. Norms take their statistics from this batch while the generator
/// has none of its own; it is then a function of the batch, and otherwise of each image alone. `precision` is that of the
/// convolutions. `found`, if it is given, receives the statistics of the batch.
Tensor generate(const Generator& generator, const Conditions& conditions, const Preprocessing& preprocessing,
                at::ScalarType precision, TensorMap* found = nullptr);

}  // namespace eidolon
