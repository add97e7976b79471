// Logging: one file per rank, and stderr for what the user must see.
#pragma once

#include <filesystem>
#include <string>

namespace eidolon::log {

/// Opens the log file of this rank. The file gets all messages with time stamps; it is appended to and flushed per
/// line. Stderr gets info and above from rank 0, warnings and above from other ranks. With several ranks each line
/// begins with "[rank 3] ". Before open() messages go to stderr only. Throws Fault if the file cannot be opened.
void open(const std::filesystem::path& file, int rank, int size);
void set_ranks(int rank, int size);  ///< the prefix and level of stderr alone, without a file

void debug(const std::string& message);
void info(const std::string& message);
void warn(const std::string& message);
void error(const std::string& message);

}  // namespace eidolon::log
