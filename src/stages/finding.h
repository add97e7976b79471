// One line of what `doctor` found.
#pragma once

#include <string>

namespace eidolon {

struct Finding {
  enum class Verdict { good, doubtful, bad } verdict = Verdict::good;
  std::string subject;  ///< "file system"
  std::string text;     ///< what was measured; for what is not good, what to do
};

}  // namespace eidolon
