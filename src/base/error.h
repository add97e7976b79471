// Exit codes and the exceptions that carry them.
//
// A message is one line that says what is wrong, with which file or key, and what to do about it. main() adds the rank and
// the stage in front. Messages quote names that files bring: whatever is in them, the line stays one.
#pragma once

#include <stdexcept>
#include <string>

#include "base/one_line.h"

namespace eidolon {

enum class ExitCode : int {
  done = 0,
  bad_input = 64,       ///< the job, the weights or the command line; running again will not help
  internal_fault = 70,  ///< disk full, a library call failed, a rank hung
  again = 75,           ///< stopped after a checkpoint; run the same command again
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(one_line(message)), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// What the user gave is wrong.
struct BadInput : Error {
  explicit BadInput(const std::string& message) : Error(ExitCode::bad_input, message) {}
};

/// The machine, a file system or a library failed.
struct Fault : Error {
  explicit Fault(const std::string& message) : Error(ExitCode::internal_fault, message) {}
};

}  // namespace eidolon
