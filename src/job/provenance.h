// Where and how a run was made: environment.json.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace eidolon {

/// What the process cannot find out by itself.
struct Provenance {
  std::string mpi_library;         ///< text of MPI_Get_library_version()
  std::vector<std::string> hosts;  ///< of each rank, in the order of ranks
  std::string device;              ///< "cpu" or "cuda"
  int64_t threads = 1;             ///< per rank
  std::vector<std::string> command_line;
  std::chrono::system_clock::time_point start;
};

/// "0.2.0", followed by what `git describe` said at configuration if the source was a git checkout: "0.2.0 (1a2b3c4-dirty)".
std::string program_version();

/// "2026-03-01T12:00:00Z": UTC, whole seconds.
std::string iso_8601(std::chrono::system_clock::time_point time);

/// One JSON object, indented, ending in a line break: program, git, libtorch, format_version, mpi, ranks, hosts, device,
/// threads_per_rank, start, command_line. Bytes that are not UTF-8 become U+FFFD.
std::string environment_json(const Provenance& provenance);

}  // namespace eidolon
