#include "model/loading/fields/fields.h"

#include <algorithm>
#include <array>
#include <utility>

#include "model/loading/fields/rows.h"

namespace eidolon {
namespace {

/// Words joined by ", ", in lines of at most 118 characters.
std::string wrapped(const std::vector<std::string>& words) {
  std::string text, line;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string next = words[i] + (i + 1 < words.size() ? "," : ".");
    if (!line.empty() && line.size() + 1 + next.size() > 118) {
      text += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + next;
  }
  return text + line + "\n";
}

std::string restriction(const Field& field) {
  std::string values;
  for (const std::string& value : field.values) values += (values.empty() ? "`" : ", `") + value + "`";
  return values.empty() ? "refused: " + field.text : "must be " + values + "; refused: " + field.text;
}

}  // namespace

const std::vector<Field>& config_fields() {
  static const std::vector<Field> fields = [] {
    std::vector<Field> all;
    fields::add_timm(all);
    fields::add_pretrained_cfg(all);
    fields::add_model_args(all);
    fields::add_hugging_face(all);
    fields::add_processor(all);
    fields::add_description(all);
    return all;
  }();
  return fields;
}

std::string config_fields_as_markdown() {
  const std::array<std::pair<Form, const char*>, 6> forms{
      {{Form::timm, "timm's `config.json`"},
       {Form::pretrained_cfg, "`pretrained_cfg` in it, or the same fields beside `architecture` in the old flat form"},
       {Form::model_args, "`model_args` in it"},
       {Form::hugging_face, "Hugging Face's `config.json`"},
       {Form::processor, "`preprocessor_config.json`, or `image_processor` in `processor_config.json`"},
       {Form::description, "`description.json`, which stands above the others"}}};
  std::string text;
  for (const auto& [form, title] : forms) {
    text += "### " + std::string(title) + "\n\n| field | what is done |\n|---|---|\n";
    std::vector<std::string> silent;
    for (const Field& field : config_fields()) {
      if (field.form != form) continue;
      if (field.treatment == Treatment::silent) {
        silent.push_back("`" + field.name + "`");
      } else {
        text +=
            "| `" + field.name + "` | " + (field.treatment == Treatment::honoured ? field.text : restriction(field)) + " |\n";
      }
    }
    text += '\n';
    if (!silent.empty()) text += "Passed over, since they say nothing of what the model computes:\n" + wrapped(silent) + "\n";
  }
  text.pop_back();
  return text;
}

}  // namespace eidolon
