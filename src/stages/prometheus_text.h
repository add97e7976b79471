// What a run directory tells, in the text format of Prometheus, for the textfile collector of its node_exporter.
#pragma once

#include <filesystem>
#include <string>

#include "stages/run_status.h"

namespace eidolon {

/// Gauges "eidolon_..." with HELP and TYPE. Every sample has the labels `run`, the absolute path of the directory, and `job`,
/// its name, which is the job's unless --run-dir named another. What is not known has no sample.
std::string prometheus_text(const std::filesystem::path& run_directory, const RunStatus& status);

}  // namespace eidolon
