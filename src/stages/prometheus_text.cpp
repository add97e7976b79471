#include "stages/prometheus_text.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "reporting/result.h"

namespace eidolon {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

struct Sample {
  Labels labels;
  double value = 0;
};

/// Of a label: valid UTF-8 in which backslash, quote and line feed are escaped, and nothing else.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char letter : nlohmann::json::parse(json_text(text)).get<std::string>()) {
    if (letter == '\\' || letter == '"') result += '\\';
    result += letter == '\n' ? "\\n" : std::string(1, letter);
  }
  return result;
}

class Text {
 public:
  explicit Text(Labels common) : common_(std::move(common)) {}

  void gauge(const std::string& name, const std::string& help, const std::vector<Sample>& samples) {
    if (samples.empty()) return;
    text_ += "# HELP eidolon_" + name + " " + help + "\n# TYPE eidolon_" + name + " gauge\n";
    for (const Sample& sample : samples) {
      std::string labels;
      for (const Labels& some : {common_, sample.labels}) {
        for (const auto& [label, value] : some) labels += (labels.empty() ? "" : ",") + label + "=\"" + escaped(value) + "\"";
      }
      char number[32];
      std::snprintf(number, sizeof number, "%.17g", sample.value);
      text_ += "eidolon_" + name + "{" + labels + "} " + number + "\n";
    }
  }

  const std::string& text() const { return text_; }

 private:
  Labels common_;
  std::string text_;
};

struct StageSamples {
  std::vector<Sample> done, total, rate, seconds_left;

  void add(const std::string& stage, const std::string& unit, double of_it, double all) {
    done.push_back({{{"stage", stage}, {"unit", unit}}, of_it});
    total.push_back({{{"stage", stage}, {"unit", unit}}, all});
  }

  /// Of what runs; how long is known where something moves.
  void add_speed(const std::string& stage, const std::string& unit, double per_second, double left) {
    rate.push_back({{{"stage", stage}, {"unit", unit}}, per_second});
    if (per_second > 0) seconds_left.push_back({{{"stage", stage}}, left / per_second});
  }
};

StageSamples stage_samples(const RunStatus& status) {
  StageSamples samples;
  const SynthesisStatus& images = status.synthesis;
  samples.add("synthesize", "shards", static_cast<double>(images.shards), static_cast<double>(images.units));
  if (images.views > 0) samples.add("synthesize", "views", images.views - images.views_left, images.views);
  if (images.views > 0 && is_running(status))
    samples.add_speed("synthesize", "views", images.views_per_second, images.views_left);
  if (const auto beat = running_root(status, "finetune")) {
    samples.add("finetune", beat->unit, beat->done, beat->total);
    samples.add_speed("finetune", beat->unit, beat->rate, beat->total - beat->done);
  }
  return samples;
}

/// Of the ranks of launches that have not ended: one that is silent is what somebody is to hear of.
std::vector<Sample> heartbeats(const RunStatus& status) {
  std::vector<Sample> samples;
  for (const LaunchStatus& launch : status.launches) {
    if (launch.state == LaunchStatus::State::ended) continue;
    for (const Beat& beat : launch.ranks)
      samples.push_back({{{"launch", launch.name}, {"rank", std::to_string(beat.rank)}, {"host", beat.host}}, beat.time});
  }
  return samples;
}

std::vector<Sample> losses(const RunStatus& status) {
  std::vector<Sample> samples;
  for (const LossStatus& loss : status.losses) {
    // Without the unit: a label whose values pass by makes a new series of each.
    const std::string stage = loss.stage.substr(0, loss.stage.find("/unit "));
    samples.push_back({{{"stage", stage}, {"term", loss.term}}, loss.value});
  }
  return samples;
}

}  // namespace

std::string prometheus_text(const std::filesystem::path& run_directory, const RunStatus& status) {
  const std::filesystem::path run = std::filesystem::weakly_canonical(run_directory);
  Text text({{"job", run.filename().string()}, {"run", run.string()}});
  const auto flag = [&](const char* name, const char* help, bool value) { text.gauge(name, help, {{{}, value ? 1.0 : 0.0}}); };
  flag("running", "Whether a launch was heard of within the last minute.", is_running(status));
  flag("finished", "Whether the newest checkpoint is the finished student.", is_finished(status));
  if (status.data_free) flag("data_free", "Whether no real image had a part in the images or the student.", *status.data_free);
  const StageSamples stages = stage_samples(status);
  text.gauge("stage_done", "How much of a stage is done.", stages.done);
  text.gauge("stage_total", "How much a stage has to do.", stages.total);
  text.gauge("stage_rate", "How much a running stage does per second.", stages.rate);
  text.gauge("stage_seconds_left", "Seconds that a stage takes at its present rate.", stages.seconds_left);
  text.gauge("heartbeat_timestamp_seconds", "Unix time of a rank's last heartbeat.", heartbeats(status));
  text.gauge("loss", "The last loss that was written down.", losses(status));
  if (const auto& checkpoint = status.checkpoint) {
    text.gauge("checkpoint_step", "Step of the newest checkpoint.", {{{}, static_cast<double>(checkpoint->step)}});
    flag("checkpoint_sound", "Whether the newest checkpoint is sound.", checkpoint->sound);
    text.gauge("checkpoint_timestamp_seconds", "Unix time at which the newest checkpoint was written.",
               {{{}, unix_seconds() - checkpoint->age_seconds}});
  }
  return text.text();
}

}  // namespace eidolon
