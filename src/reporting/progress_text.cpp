#include "reporting/progress_text.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace eidolon {
namespace {

__attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

double fraction(const ProgressState& state) {
  return state.total > 0 ? std::clamp(state.done / state.total, 0.0, 1.0) : 1;
}

double rate(const ProgressState& state) {
  return state.seconds > 0 ? std::max(0.0, state.done - state.before) / state.seconds : 0;
}

std::string count_text(const ProgressState& state) {
  return format("%.0f/%.0f ", state.done, state.total) + state.unit;
}

/// Rate and time left, or the time taken once finished; nothing before the first step.
std::string speed_text(const ProgressState& state, const char* separator) {
  const double per_second = rate(state);
  if (per_second <= 0) return "";
  const std::string speed = separator + format("%.3g ", per_second) + state.unit + "/s" + separator;
  if (state.done >= state.total) return speed + "took " + duration_text(state.seconds);
  return speed + duration_text((state.total - state.done) / per_second) + " left";
}

std::string figures_text(const Figures& figures, const char* separator) {
  std::string text;
  for (const auto& [name, value] : figures)
    text += separator + name + (std::isfinite(value) ? format(" %.4g", value) : " not finite");
  return text;
}

}  // namespace

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e9) return "?";
  const auto whole = std::llround(seconds);
  if (whole < 60) return format("%lld s", whole);
  if (whole < 3600) return format("%lld:%02lld min", whole / 60, whole % 60);
  if (whole < 86400) return format("%lld:%02lld h", whole / 3600, whole / 60 % 60);
  return format("%lld d %02lld h", whole / 86400, whole / 3600 % 24);
}

std::string progress_line(const ProgressState& state) {
  return state.stage + ": " + count_text(state) + format(" (%.0f %%)", std::floor(100 * fraction(state))) +
         speed_text(state, ", ") + figures_text(state.figures, ", ");
}

std::string progress_bar(const ProgressState& state, int columns) {
  const std::string text = format("] %3.0f %% ", std::floor(100 * fraction(state))) + count_text(state) +
                           speed_text(state, "  ") + figures_text(state.figures, "  ");
  const int left = columns - static_cast<int>(state.stage.size() + 2 + text.size());
  const int width = std::clamp(left, 6, 24);  // figures are worth more than a long bar
  const int filled = static_cast<int>(width * fraction(state));
  std::string bar(filled, '=');
  if (filled < width) bar += '>' + std::string(width - 1 - filled, ' ');
  return (state.stage + " [" + bar + text).substr(0, std::max(columns, 0));
}

}  // namespace eidolon
