// report.json of one or several runs, and the page made of it.
#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cluster/log.h"
#include "cluster/on_root.h"
#include "job/provenance.h"
#include "reporting/result.h"
#include "stages/preflight.h"
#include "stages/report/page.h"
#include "stages/report/parts.h"
#include "stages/stages.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr int report_format = 1;

template <class Run>
struct Part {
  const char* name;
  ordered_json (*gather)(const Run&);
};

const std::array recorded_parts{
    Part<RecordedRun>{"run", parts::run_facts},         Part<RecordedRun>{"losses", parts::losses},
    Part<RecordedRun>{"times", parts::times},           Part<RecordedRun>{"exports", parts::exports},
    Part<RecordedRun>{"evaluation", parts::evaluation},
};

const std::array measured_parts{
    Part<MeasuredRun>{"teacher", parts::teacher},     Part<MeasuredRun>{"recipe", parts::recipe},
    Part<MeasuredRun>{"pictures", parts::pictures},   Part<MeasuredRun>{"kinds", parts::kinds},
    Part<MeasuredRun>{"growth", parts::growth},       Part<MeasuredRun>{"attention", parts::attention},
    Part<MeasuredRun>{"synthetic", parts::synthetic}, Part<MeasuredRun>{"labelled", parts::labelled},
    Part<MeasuredRun>{"nodes", parts::nodes},
};

/// Each part, or in "missing" the reason why it is not there.
template <class Run, size_t count>
void gather(const std::array<Part<Run>, count>& wanted, const Run& run, ordered_json& json) {
  for (const Part<Run>& part : wanted) {
    try {
      json[part.name] = part.gather(run);
    } catch (const Error& error) {
      json["missing"][part.name] = error.what();
    } catch (const ordered_json::exception&) {
      json["missing"][part.name] = "a file of the run has other fields than this program writes";
    }
  }
}

/// Without the teacher nothing can be measured, and the report has what is on record.
void measure(const RecordedRun& recorded, Cluster& cluster, int64_t labelled_limit, std::vector<std::string>& warnings,
             ordered_json& json) {
  try {
    RunContext context = open_to_look(recorded.job(), cluster, recorded.run.root);
    adopt_identity(context);
    gather(measured_parts, measured_run(recorded, context, labelled_limit, warnings), json);
  } catch (const Error& error) {
    for (const auto& part : measured_parts) json["missing"][part.name] = error.what();
    warnings.push_back("nothing could be measured: " + std::string(error.what()));
  }
}

ordered_json report_of(const fs::path& directory, Cluster& cluster, int64_t labelled_limit) {
  const RecordedRun recorded = recorded_run(directory);
  ordered_json json{
      {"name", directory.filename().string()}, {"directory", directory.string()}, {"missing", ordered_json::object()}};
  gather(recorded_parts, recorded, json);
  std::vector<std::string> warnings = parts::warnings_of(recorded);
  measure(recorded, cluster, labelled_limit, warnings, json);
  json["warnings"] = warnings;
  return json;
}

std::vector<fs::path> whole_paths(const std::vector<fs::path>& given) {
  std::vector<fs::path> paths;
  for (const fs::path& path : given) {
    fs::path whole = fs::weakly_canonical(fs::absolute(path));
    if (!fs::is_directory(whole)) throw BadInput(path.string() + " is no folder; name a run directory");
    if (std::ranges::find(paths, whole) == paths.end()) paths.push_back(whole);
  }
  return paths;
}

}  // namespace

ExitCode report(Cluster& cluster, const ReportOptions& options) {
  if (cluster.size() > 1) throw_once(cluster.communicator, BadInput("it runs as one process; start it without mpirun"));
  const std::vector<fs::path> directories = whole_paths(options.runs);
  for (const fs::path& directory : directories) recorded_run(directory);  // refuses what is no run before hours of work
  ordered_json json{{"report_format", report_format},
                    {"program", program_version()},
                    {"made", iso_8601(std::chrono::system_clock::now())},
                    {"runs", ordered_json::array()}};
  for (const fs::path& directory : directories) {
    log::info("report: " + directory.string());
    json["runs"].push_back(report_of(directory, cluster, options.labelled_images));
  }
  const fs::path folder = !options.folder.empty() ? options.folder : directories.size() == 1 ? directories[0] : fs::path(".");
  fs::create_directories(folder);
  const fs::path data = folder / "report.json", page = folder / "report.html";
  write_text_atomically(data, json_text(json, 1) + "\n");
  print_result(data.string() + "\n");
  const std::string missing = write_page(data, page);
  if (missing.empty()) {
    print_result(page.string() + "\n");
  } else {
    log::warn(missing);
  }
  return ExitCode::done;
}

}  // namespace eidolon
