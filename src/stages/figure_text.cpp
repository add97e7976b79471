#include "stages/figure_text.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace eidolon {
namespace {

std::string number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string text_of(const Figure& figure, const char* value, const char* error, double factor, const char* unit) {
  if (!figure.value) return "not defined (" + figure.undefined + ")";
  const std::string shown = number(value, factor * *figure.value);
  if (!figure.error) return shown + unit + " (error not defined: " + figure.undefined + ")";
  return shown + " +- " + number(error, factor * *figure.error) + unit;
}

}  // namespace

nlohmann::ordered_json json_of(const NamedFigures& figures) {
  nlohmann::ordered_json object, undefined;
  for (const auto& [name, figure] : figures) {
    if (figure.value) object[name] = *figure.value;
    if (figure.error) object[name + "_se"] = *figure.error;
    if (!figure.value) undefined[name] = figure.undefined;
    if (figure.value && !figure.error) undefined[name + "_se"] = figure.undefined;
  }
  if (!undefined.is_null()) object["undefined"] = undefined;
  return object;
}

std::string percent_text(const Figure& figure) {
  return text_of(figure, "%6.2f", "%.2f", 100, " %");
}

std::string nats_text(const Figure& figure) {
  return text_of(figure, "%.4f", "%.4f", 1, "");
}

}  // namespace eidolon
