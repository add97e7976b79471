// Paths as they are written in a job.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace eidolon {

/// Replaces each ${NAME} by the environment variable ("$${" stands for "${" itself), then makes the path absolute, relative
/// ones to `base`. An empty text is an empty path. Throws BadInput for a variable that is unset or empty, for "${" without "}"
/// and for bytes that are not UTF-8 (the resolved job could not be written as TOML).
std::filesystem::path job_path(std::string_view text, const std::filesystem::path& base);

/// The text from which job_path() makes `path` again.
std::string text_of(const std::filesystem::path& path);

}  // namespace eidolon
