// job.toml -> Job.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "job/job.h"

namespace eidolon {

/// Reads a job file, applies `--set section.key=value` overrides in order, expands ${VARIABLE} in paths and makes paths
/// absolute (relative ones are relative to the job file; those of an override, to the working directory). The variables of a
/// path that an override replaces need not be set.
/// Throws BadInput naming file, line and the nearest valid key for: unknown sections and keys, wrong types, values out of
/// range, unset variables, syntax errors, a file that is not there, no teacher.weights, values that contradict each other, and
/// keys of a method that is not chosen. An override's value is TOML, or else a bare word: --set synthesis.method=gaussian.
/// What neither states has the default of the chosen synthesis.method (job/synthesis_methods.h).
Job read_job(const std::filesystem::path& file, const std::vector<std::string>& overrides);

/// Reads a job that an earlier start resolved and wrote. Keys that this version of the program does not know are ignored, so
/// that a run can be resumed after an update; the rest as read_job(), without the checks across keys. BadInput by name if the
/// file was emptied or cut short.
Job read_resolved_job(const std::filesystem::path& file);

/// The same from a text that to_toml() wrote; name and file are taken from `like`.
Job read_resolved_text(const std::string& text, const Job& like);

/// The whole job as TOML with every key of the chosen methods, "auto" where a value is not resolved. read_job() reads it back
/// to an equal Job (name and file are those of the file it is read from).
std::string to_toml(const Job& job);

/// Only the keys that decide one kind of artefact.
enum class Decides;
std::string to_toml(const Job& job, Decides artefact);

/// The keys with their defaults, meaning and accepted values, for `eidolon keys`: those that people set, or all. Lines have at
/// most 100 columns.
enum class WhichKeys { common, all };
std::string describe_keys(WhichKeys which);

}  // namespace eidolon
