// The program's manual page, read off the table of commands.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace eidolon {

/// eidolon(1) in the macros of man(7).
std::string man_page(const CLI::App& app, const std::string& version);

}  // namespace eidolon
