// What can refuse a launch, looked at before anything is written.
#pragma once

#include <string>

#include "stages/run_context.h"

namespace eidolon {

/// What a command is going to do.
struct Intent {
  bool makes_images = false;
  bool trains = false;     ///< or calibrates
  bool finetunes = false;  ///< alone in the run directory
  bool evaluates = false;  ///< a student
};

Intent intent_of(const std::string& command, bool teacher_only);

/// Takes over the device and the threads that the run's images were made with, if there are any (computed_as()). Collective.
void adopt_recorded_identity(RunContext& context);

/// Looks at what the run directory and run.shards hold, and takes over how the images there were computed
/// (RunContext::identity). BadInput, naming the file and the key that differs, for shards and checkpoints of another job, for
/// images that can only be added to with other settings of [run], for terms of synthesis that the teacher cannot serve, and for
/// what the command needs and is not there. Writes nothing. Collective.
void check_before_start(RunContext& context, const Intent& intent);

/// The part of it that only takes over: RunContext::identity as the images there state it. BadInput if they were to be given
/// and the first shard is absent or damaged. Collective.
void adopt_identity(RunContext& context);

}  // namespace eidolon
