// What the evaluations of classifiers and of encoders share.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "quantization/student.h"
#include "stages/labelled_set.h"
#include "stages/run_context.h"
#include "stages/stages.h"

namespace eidolon {

struct NamedStudent {
  std::string name;  ///< "calibrated" or "student"
  Student student;   ///< with rounded weights, on the device
};

/// "  student     ", for what stands behind it.
std::string indented(const std::string& name);

/// What low-rank factors add to the weights' bits, where a student has them.
void add_branch_bits(const std::vector<NamedStudent>& students, nlohmann::ordered_json& object, std::string& text);

/// Each rank names what it could not read; rank 0 says how many there were in all.
int64_t report_undecodable(const Cluster& cluster, const std::vector<std::string>& undecodable);

/// evaluation.json, which exports repeat. `evaluate` alone writes nothing into a run.
void keep_figures(const RunContext& context, nlohmann::ordered_json object);

void print_figures(const Communicator& communicator, const EvaluateOptions& options, const nlohmann::ordered_json& object,
                   const std::string& text);

/// Of a teacher without classes: cosine and relative error of its features, and the accuracy of the nearest class mean.
ExitCode evaluate_features(const RunContext& context, const EvaluateOptions& options, const LabelledSet& labelled,
                           const std::vector<NamedStudent>& students);

}  // namespace eidolon
