#include "exporting/model_card.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace eidolon {
namespace {

using nlohmann::json;

/// "81.4 %" of a share, or "0.0024".
std::string figure_text(const json& figures, const char* name, bool is_share) {
  constexpr double percent = 100;
  if (!figures.contains(name) || !figures[name].is_number()) return "";
  char text[32];
  const double value = figures[name];
  std::snprintf(text, sizeof text, is_share ? "%.2f %%" : "%.4f", is_share ? percent * value : value);
  return text;
}

std::string figures_table(const std::string& figures_json) {
  const json figures = json::parse(figures_json, nullptr, /*allow_exceptions=*/false);
  if (!figures.is_object() || !figures.contains("student")) return "`eidolon run` has measured nothing with this student.\n";
  const json teacher = figures.value("teacher", json::object());
  const json& student = figures["student"];
  std::string table = "Measured by `eidolon evaluate`, which runs the student in its own arithmetic";
  const bool synthetic = figures.value("optimistic", false);
  if (figures.contains("images"))
    table += ", on " + figures["images"].dump() +
             (synthetic ? " held-out synthetic images, which are optimistic" : " labelled images");
  table += ":\n\n| | teacher | student |\n|---|---|---|\n";
  const auto row = [&](const char* title, const char* name, bool is_share) {
    const std::string of_student = figure_text(student, name, is_share);
    if (of_student.empty()) return;
    table.append("| ").append(title).append(" | ").append(figure_text(teacher, name, is_share));
    table.append(" | ").append(of_student).append(" |\n");
  };
  row("top-1", "top1", true);
  row("top-5", "top5", true);
  row("same answer as the teacher", "agreement", true);
  row("KL divergence from the teacher, nats", "kl", false);
  return table;
}

std::string front_matter(const ExportFacts& facts, const CardText& text) {
  std::string matter = "---\nlibrary_name: " + text.library + "\npipeline_tag: image-classification\ntags:\n- eidolon\n";
  for (const std::string& tag : text.tags) matter += "- " + tag + "\n";
  if (facts.data_free) matter += "- data-free\n";
  return matter + "---\n";
}

std::string origin(const ExportFacts& facts, const PublishedFolder& folder) {
  std::string text = "| | |\n|---|---|\n| architecture | `" + folder.architecture + "` |\n";
  text += "| recipe | `" + facts.recipe + "` |\n";
  text += "| real images that had a part in it | " + std::string(facts.data_free ? "none" : "some") + " |\n";
  text += "| teacher's weights, SHA-256 | `" + facts.teacher_hash + "` |\n";
  text += "| student | `" + facts.student_id + "` |\n";
  return text + "| made by | Eidolon " + facts.program + " |\n";
}

}  // namespace

std::string model_card(const ExportFacts& facts, const PublishedFolder& folder, const CardText& text) {
  return front_matter(facts, text) + "\n# " + text.title + "\n\n" + text.what + "\n\n" + origin(facts, folder) + "\n" +
         "`manifest.json` has every setting that decided the student. The weights descend from the teacher's, whose licence "
         "goes "
         "on to hold.\n\n## Figures\n\n" +
         figures_table(facts.figures) + "\n## Loading\n\n" + text.load;
}

}  // namespace eidolon
