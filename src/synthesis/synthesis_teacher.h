// The teacher as synthesis uses it.
#pragma once

#include <memory>

#include "model/network.h"
#include "model/preprocessing.h"

namespace eidolon {

/// A second network of the same plan that the images set against the teacher, on its device. Synthesis knows no more of it.
struct Opponent {
  Network model;  ///< float32
  Tap tap;
};

/// On the device, in the working precision.
struct SynthesisTeacher {
  Network model;
  Preprocessing preprocessing;
  std::shared_ptr<const Opponent> opponent = nullptr;  ///< null: there is none

  const Plan& plan() const { return *model.plan; }
  at::Device device() const { return model.device(); }
  at::ScalarType precision() const { return model.dtype(); }
};

}  // namespace eidolon
