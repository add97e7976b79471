// The parts of report.json, each a function of a run to JSON (docs/reference/report.md). What cannot be said of a run throws
// an Error whose text is the reason; the report then has the reason in the part's place.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "stages/report/reported_run.h"

namespace eidolon::parts {

// From files.
nlohmann::ordered_json run_facts(const RecordedRun& run);   ///< what was run, by what, and how far it came
nlohmann::ordered_json losses(const RecordedRun& run);      ///< of images by term, of fine-tuning by phase
nlohmann::ordered_json times(const RecordedRun& run);       ///< per launch, rank and stage
nlohmann::ordered_json exports(const RecordedRun& run);     ///< folders and their bytes
nlohmann::ordered_json evaluation(const RecordedRun& run);  ///< what `run` measured at its end

// Measured with the networks.
nlohmann::ordered_json teacher(const MeasuredRun& run);
nlohmann::ordered_json recipe(const MeasuredRun& run);     ///< what runs as integers, what as floats
nlohmann::ordered_json pictures(const MeasuredRun& run);   ///< images by kind, with the teacher's answers
nlohmann::ordered_json kinds(const MeasuredRun& run);      ///< what each kind of image is to the teacher and to the students
nlohmann::ordered_json growth(const MeasuredRun& run);     ///< start, a quarter, end of some optimised images
nlohmann::ordered_json attention(const MeasuredRun& run);  ///< priors beside what was attained
nlohmann::ordered_json synthetic(const MeasuredRun& run);  ///< students against the teacher on synthetic images
nlohmann::ordered_json labelled(const MeasuredRun& run);   ///< the same on labelled images
nlohmann::ordered_json nodes(const MeasuredRun& run);      ///< bits, bytes and error of each, histograms of the worst

/// Warnings of the run's logs and of its evaluation.
std::vector<std::string> warnings_of(const RecordedRun& run);

}  // namespace eidolon::parts
