// The program's commands as other programs take them: completion for shells, and a man page. Both are read off the table of
// commands that the command line is parsed by, so they say what the program does.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace eidolon {

/// A script for "bash", "zsh" or "fish" that completes commands, flags, keys of a job, targets and files.
std::string completion(const CLI::App& app, const std::string& shell);

/// eidolon(1) in the macros of man(7).
std::string man_page(const CLI::App& app, const std::string& version);

}  // namespace eidolon
