#include "reporting/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "reporting/progress_text.h"

namespace eidolon {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds between_bars{100};
constexpr std::chrono::seconds between_lines{15};

int terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

}  // namespace

struct Progress::State {
  ProgressState text;
  bool visible = true;
  bool terminal = isatty(STDERR_FILENO) != 0;
  Clock::time_point start = Clock::now();
  Clock::time_point drawn = start;

  void draw() {
    if (!visible) return;
    drawn = Clock::now();
    text.seconds = std::chrono::duration<double>(drawn - start).count();
    if (terminal) {
      // One column is left free: a full line would wrap and could not be taken back.
      std::fprintf(stderr, "\r\033[K%s", progress_bar(text, terminal_columns() - 1).c_str());
    } else {
      std::fprintf(stderr, "%s\n", progress_line(text).c_str());
    }
    std::fflush(stderr);
  }

  void draw_if_due() {
    const auto since = Clock::now() - drawn;
    if (terminal ? since >= between_bars : since >= between_lines) draw();
  }
};

Progress::Progress(std::string stage, double total, std::string unit, bool visible) : state_(std::make_unique<State>()) {
  state_->visible = visible;
  state_->text.stage = std::move(stage);
  state_->text.unit = std::move(unit);
  state_->text.total = total;
  state_->draw();
}

Progress::Progress(Progress&&) noexcept = default;

Progress::~Progress() {
  if (!state_ || !state_->visible) return;
  state_->draw();
  if (state_->terminal) std::fputc('\n', stderr);
}

void Progress::advance(double steps, const Figures& figures) {
  state_->text.done += steps;
  state_->text.total = std::max(state_->text.total, state_->text.done);  // the total may be an estimate
  if (!figures.empty()) state_->text.figures = figures;
  state_->draw_if_due();
}

void Progress::done_before(double steps) {
  state_->text.done += steps;
  state_->text.before += steps;
}

double Progress::done() const {
  return state_->text.done;
}
double Progress::total() const {
  return state_->text.total;
}
double Progress::rate() const {
  const double seconds = std::chrono::duration<double>(Clock::now() - state_->start).count();
  return seconds > 0 ? (state_->text.done - state_->text.before) / seconds : 0;
}
const std::string& Progress::unit() const {
  return state_->text.unit;
}

}  // namespace eidolon
