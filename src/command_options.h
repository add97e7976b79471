// What completion and the man page read off the table of commands that the command line is parsed by.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace eidolon {

std::vector<const CLI::App*> commands_of(const CLI::App& app);

/// What stands without a dash: a job, a folder, a shell. No command has two.
const CLI::Option* positional_of(const CLI::App& command);

std::vector<const CLI::Option*> flags_of(const CLI::App& command);
std::string name_of(const CLI::Option& flag);  ///< with its dashes
bool repeats(const CLI::Option& option);
bool takes_value(const CLI::Option& flag);

std::string replaced(std::string text, const std::string& old, const std::string& by);

}  // namespace eidolon
