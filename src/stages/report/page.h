// report.html from report.json, by the Python that comes with the program.
#pragma once

#include <filesystem>
#include <string>

namespace eidolon {

/// Empty if the page is written; otherwise what to install, in one line. Fault if Python has its packages and fails.
std::string write_page(const std::filesystem::path& report, const std::filesystem::path& page);

}  // namespace eidolon
