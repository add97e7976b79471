#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/bounded_json.h"
#include "cluster/log.h"
#include "cluster/on_root.h"
#include "exporting/export_folder.h"
#include "exporting/targets.h"
#include "job/mixture.h"
#include "job/provenance.h"
#include "reporting/result.h"
#include "stages/stages.h"
#include "stages/student_source.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

/// What `run` measured with this student at its end; empty if it did not, or with another.
std::string measured_figures(const RunDirectory& run, const std::string& student) {
  const std::filesystem::path file = run.evaluation();
  if (!std::filesystem::is_regular_file(file)) return {};
  const auto figures = bounded_json<nlohmann::ordered_json>(read_text(file));
  const bool ours = figures.is_object() && figures.contains("student_id") && figures["student_id"] == student;
  return ours ? figures.dump() : std::string();
}

ExportFacts facts_of(const RunContext& context) {
  const std::string student = student_id(context.job, context.identity);
  return {.target = {},
          .program = program_version(),
          .recipe = context.job.quantization.recipe,
          .student_id = student,
          .student_facts = student_facts(context.job, context.identity),
          .image_facts = synthesis_facts(context.job, context.identity),
          .teacher_hash = context.teacher.content_hash,
          .teacher_config = read_text(context.job.teacher.weights / "config.json"),
          .data_free = context.data_free,
          .preprocessing = context.teacher.preprocessing,
          .class_names = context.teacher.class_names,
          .figures = measured_figures(context.run, student)};
}

/// "11.8 MB": of all files in the folder.
std::string size_text(const std::filesystem::path& folder) {
  constexpr double megabyte = 1e6;
  double bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) bytes += static_cast<double>(entry.file_size());
  char text[32];
  std::snprintf(text, sizeof text, "%.2f MB", bytes / megabyte);
  return text;
}

/// In their order, each once.
std::vector<std::string> distinct(const std::vector<std::string>& names) {
  std::vector<std::string> result;
  for (const std::string& name : names) {
    if (std::ranges::find(result, name) == result.end()) result.push_back(name);
  }
  return result;
}

std::filesystem::path folder_of(const RunDirectory& run, const ExportOptions& options, const std::string& target) {
  return options.folder.empty() ? run.exported(target) : options.folder / target;
}

void write_target(const std::string& target, const Export& content, const std::filesystem::path& folder, bool ends_a_run) {
  write_folder(folder, [&](const std::filesystem::path& part) { export_target(target).write(content, part); });
  const std::string done = target + " in " + folder.string() + ", " + size_text(folder);
  if (ends_a_run) {
    log::info("export: " + done);
  } else {
    print_result(done + "\n");
  }
}

/// A command is refused as a whole, before anything is written. At the end of a run what can be written is, and the first
/// refusal is said then.
void export_on_root(const RunContext& context, const Student& student, const ExportOptions& options) {
  Export content = export_of(student, facts_of(context));
  std::vector<std::string> taken;
  std::string refusal;
  for (const std::string& name : distinct(options.targets)) {
    try {
      require_place(folder_of(context.run, options, name));
      export_target(name).check(content);
      taken.push_back(name);
    } catch (const BadInput& error) {
      if (!options.ends_a_run) throw;
      if (refusal.empty())
        refusal = "the run is finished, but its student was not exported for '" + name + "': " + error.what();
    }
  }
  for (const std::string& name : taken) {
    content.facts.target = name;
    write_target(name, content, folder_of(context.run, options, name), options.ends_a_run);
  }
  if (!refusal.empty()) throw BadInput(refusal);
}

}  // namespace

void require_exportable(const RunContext& context) {
  const std::vector<std::string> targets = listed_names(context.job.run.exports);
  if (targets.empty()) return;
  on_root(context.cluster.communicator, [&] {
    const Network& teacher = context.teacher.model;
    const Student form = uncalibrated(teacher, scheme_of(context.job.quantization, *teacher.plan));
    const Export content = export_of(form, facts_of(context));
    for (const std::string& name : targets) {
      require_place(context.run.exported(name));
      export_target(name).check(content);
    }
  });
}

ExitCode export_student(const RunContext& context, const ExportOptions& options) {
  const Student student = finished_student(context);
  on_root(context.cluster.communicator, [&] { export_on_root(context, student, options); });
  return ExitCode::done;
}

}  // namespace eidolon
