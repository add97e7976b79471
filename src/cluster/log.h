// Logging: one file per rank, and what a user must see on rank 0's stderr.
#pragma once

#include <filesystem>
#include <string>

namespace eidolon::log {

/// Before open(): messages go to stderr only. Rank 0 writes info and above to stderr; other ranks warnings and above, each line
/// prefixed "[rank 3] " when there are several ranks. The file gets everything with time stamps, appended and flushed per line.
void open(const std::filesystem::path& file, int rank, int size);
void set_ranks(int rank, int size);  ///< prefix only, no file

void debug(const std::string& message);
void info(const std::string& message);
void warn(const std::string& message);
void error(const std::string& message);

}  // namespace eidolon::log
