// The unit of work of synthesis: a block of consecutive global image indices, optimised together, one shard.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "job/job.h"

namespace eidolon {

struct Unit {
  int64_t first = 0;  ///< global index of its first image
  int64_t images = 0;

  int64_t last() const { return first + images - 1; }
};

/// The units that hold the training images [0, job.images). Units are always whole: where `images` is no multiple of the unit,
/// the rest of the last unit is made, but neither trained on nor held out.
std::vector<Unit> training_units(const SynthesisJob& job);

/// The units whose images are held out, in order: of those behind the training units the first ones that give the held-out
/// images the mixture of optimised units and starts that training has. At least job.held_out_images images, and at least one
/// unit of each kind that training has (but a kind of which there is less than one unit in 1000). None if held_out_images is 0.
std::vector<Unit> held_out_units(const SynthesisJob& job);

/// The training units, then the held-out ones.
std::vector<Unit> units_of(const SynthesisJob& job);

/// The held-out images' global indices, in order.
std::vector<int64_t> held_out_images(const SynthesisJob& job);

/// "16 optimised, 16 as they start (leaves, scenes, textures)": how many images of `units` are of which kind.
std::string kinds_of(const SynthesisJob& job, const std::vector<Unit>& units);

/// No unit is optimised: the shards hold the starts.
bool images_are_starts(const SynthesisJob& job);

/// Whether this unit is optimised; otherwise its shard holds the starts. Every prefix of the units has its job.optimised_share
/// of such units, rounded down, so that raising job.images changes none of the units there were.
bool is_optimised(const SynthesisJob& job, const Unit& unit);

/// One iteration's forward passes with input gradient: of each image and each of its crops. 0 where no pixels are optimised.
double views_per_iteration(const SynthesisJob& job, const Unit& unit);

/// The same units, beginning with this rank's share and going round: ranks that take what is free in this order seldom meet.
std::vector<Unit> from_share_on(std::vector<Unit> units, int rank, int size);

}  // namespace eidolon
