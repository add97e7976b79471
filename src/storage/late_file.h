// Files that another node wrote.
#pragma once

#include <filesystem>

namespace eidolon {

/// Waits until `path` exists, for at most `seconds`: a shared file system may show a finished file late (NFS keeps what it
/// knows of a folder for up to a minute). False if it did not come.
bool await_file(const std::filesystem::path& path, double seconds);

}  // namespace eidolon
