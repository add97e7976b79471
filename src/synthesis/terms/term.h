// A term of the synthesis loss: what it is called, what it weighs, what it reads in the teacher, and what it says of images.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "job/job.h"
#include "synthesis/attention_reading.h"
#include "synthesis/semantic_targets.h"
#include "synthesis/synthesis_teacher.h"
#include "synthesis/unit.h"

namespace eidolon {

/// What terms look at: B images, M crops of them, C classes.
struct Seen {
  Tensor pixels;                            ///< normalised float32 B x C x S x S, the whole images
  Tensor logits;                            ///< B x C, of the images as the teacher saw them
  Tensor crop_logits;                       ///< M x C
  std::vector<AttentionReading> attention;  ///< of the images as the teacher saw them; one entry per attention
  Tensor opponent_outputs = {};             ///< float32, of the same views of the images
  std::vector<Tensor> statistics = {};      ///< 2 x outputs, mean and deviation over images and places of every convolution's
                                            ///< outputs that are shown (Product::output)
};

/// One value per image. No image's value may depend on another image, but through statistics of their whole unit, which is made
/// in one piece by whatever rank makes it.
using PerImage = std::function<Tensor(const Seen&)>;

/// A term with all that was drawn for a unit, on the teacher's device.
struct DrawnTerm {
  PerImage loss;
  std::string_view figure = {};  ///< name of a further column of the shard, beside which the loss is read; empty: none
  PerImage figure_of = {};
  bool recordable = true;  ///< false: what adds by index in its backward pass reads the indices on a GPU
};

struct TermContext {
  const SynthesisTeacher& teacher;
  const SynthesisJob& job;
  const Unit& unit;
  const SemanticTargets& semantics;  ///< on the teacher's device
  const Tensor& start;               ///< the unit's first pixels, as Seen::pixels; undefined where no term needs them
};

struct Term {
  std::string_view name;                                           ///< of its column in shards and metrics
  double (*weight)(const SynthesisJob&, const SynthesisTeacher&);  ///< 0: the term is not computed
  AttentionParts reads;
  bool reads_statistics = false;
  bool reads_opponent = false;
  DrawnTerm (*draw)(const TermContext&);  ///< BadInput if the teacher cannot serve the term
};

/// Every term that there is, in the order in which they are summed.
const std::vector<Term>& terms();

}  // namespace eidolon
