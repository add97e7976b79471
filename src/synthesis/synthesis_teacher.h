// The teacher as synthesis uses it.
#pragma once

#include "model/network.h"
#include "model/preprocessing.h"

namespace eidolon {

/// On the device, in the working precision.
struct SynthesisTeacher {
  Network model;
  Preprocessing preprocessing;

  const Plan& plan() const { return *model.plan; }
  at::Device device() const { return model.device(); }
  at::ScalarType precision() const { return model.dtype(); }
};

}  // namespace eidolon
