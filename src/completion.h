// Scripts by which shells complete the program's commands, flags, keys and targets.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace eidolon {

/// A script for "bash", "zsh" or "fish" that completes commands, flags, keys of a job, targets and files.
std::string completion(const CLI::App& app, const std::string& shell);

}  // namespace eidolon
