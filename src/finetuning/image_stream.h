// What a step of end-to-end distillation sees: never the same image twice.
//
// The teacher labels whatever it is shown, so the inputs of distillation need no labels and no end: procedural images are made
// anew at every step, and stored ones are shifted and mirrored. A student that sees an image once cannot learn it by heart.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "finetuning/synthetic_images.h"
#include "model/preprocessing.h"

namespace eidolon {

/// Normalised images on the device, one for each of the global indices, in that order: a function of (index, step) that no
/// other step gives again.
using GeneratedImages = std::function<Tensor(const std::vector<int64_t>& images, int64_t step)>;

struct ImageStream {
  const SyntheticImages& stored;  ///< this rank's
  const Preprocessing& preprocessing;
  std::vector<std::string> kinds;  ///< a cycle of "stored", "generator" and procedural families; each image draws one
  uint64_t seed;
  GeneratedImages generated = {};  ///< must be there if "generator" is among the kinds
};

/// Normalised float32 B x C x S x S on the CPU, or on the device where a generator makes all of them; one for each of this
/// rank's global image indices, in that order. A function of (seed, image, step) and the stored images.
Tensor images_of_step(const ImageStream& stream, const std::vector<int64_t>& images, int64_t step);

}  // namespace eidolon
