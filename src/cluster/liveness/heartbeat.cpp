#include "cluster/liveness/heartbeat.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/bounded_json.h"
#include "base/error.h"
#include "base/pulse.h"
#include "cluster/liveness/collective_clock.h"
#include "cluster/liveness/watchdog.h"
#include "cluster/log.h"
#include "storage/atomic_file.h"
#include "storage/posix_file.h"

namespace eidolon {

std::filesystem::path beat_file(const std::filesystem::path& folder, int rank) {
  char name[32];
  std::snprintf(name, sizeof name, "rank-%04d.json", rank);
  return folder / name;
}

void write_beat(const std::filesystem::path& folder, const Beat& beat) {
  const nlohmann::ordered_json json = {{"rank", beat.rank},   {"host", beat.host},     {"pid", beat.pid},
                                       {"stage", beat.stage}, {"detail", beat.detail}, {"collective", beat.collective},
                                       {"time", beat.time},   {"pulses", beat.pulses}, {"ended", beat.ended},
                                       {"done", beat.done},   {"total", beat.total},   {"rate", beat.rate},
                                       {"unit", beat.unit}};
  const auto replace_bad_utf8 = nlohmann::ordered_json::error_handler_t::replace;
  write_text_atomically(beat_file(folder, beat.rank), json.dump(-1, ' ', false, replace_bad_utf8) + "\n");
}

std::optional<Beat> read_beat(const std::filesystem::path& file) {
  try {
    const auto json = bounded_json(read_text(file));
    return Beat{json.at("rank"),       json.at("host"), json.at("pid"),    json.at("stage"), json.at("detail"),
                json.at("collective"), json.at("time"), json.at("pulses"), json.at("ended"), json.at("done"),
                json.at("total"),      json.at("rate"), json.at("unit")};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  } catch (const Fault&) {
    return std::nullopt;
  }
}

// Launches come and go beside this one, so whatever vanishes in between is none of its business.
void forget_old_heartbeats(const std::filesystem::path& heartbeats) {
  constexpr double settled = 60, long_silent = 3600;  // seconds
  std::error_code ignored;
  for (const auto& launch : std::filesystem::directory_iterator(heartbeats, ignored)) {
    const auto beat = read_beat(beat_file(launch.path(), 0));
    if (!beat) continue;
    const double kept = beat->ended ? settled : long_silent;
    if (!is_recent(beat->time, unix_seconds(), kept)) std::filesystem::remove_all(launch.path(), ignored);
  }
}

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

bool is_recent(double time, double now, double stale_seconds) {
  return std::abs(now - time) <= stale_seconds;  // false for a time that is not a number
}

struct Heartbeat::State {
  std::filesystem::path folder;
  int rank, size;
  double deadline, interval;
  std::string host;

  std::mutex mutex;
  std::condition_variable wake;
  Activity activity;
  bool leaving = false;
  bool new_stage = false;  ///< worth a beat at once
  bool warned = false;
  std::thread thread;

  Activity current_activity() {
    const std::lock_guard lock(mutex);
    return activity;
  }
  void beat();
  void run();
  void judge(StuckTime& stuck, double stuck_seconds);
  [[noreturn]] void give_up(double stuck_seconds, const std::vector<RankBehind>& hung);

  std::vector<int64_t> pulses_before;  ///< of all ranks, as seen half a deadline ago; empty: not stuck that long
  bool ended = false;
};

void Heartbeat::State::beat() {
  const Activity now = current_activity();
  try {
    write_beat(folder, {rank, host, getpid(), now.stage, now.detail, collective_clock::entered(), unix_seconds(), pulses(),
                        ended, now.done, now.total, now.rate, now.unit});
  } catch (const std::exception& error) {  // a full disk must not end the run here; the stage will meet it and say so
    if (!warned) log::warn(error.what());
    warned = true;
  }
}

void Heartbeat::State::run() {
  using Clock = std::chrono::steady_clock;
  const double tick = std::min(1.0, interval);
  StuckTime stuck(tick);
  double since_beat = 0;
  auto last = Clock::now();
  std::unique_lock lock(mutex);
  for (;;) {
    wake.wait_for(lock, std::chrono::duration<double>(tick), [&] { return leaving || new_stage; });
    if (leaving) return;
    const bool at_once = std::exchange(new_stage, false);
    lock.unlock();
    const double elapsed = std::chrono::duration<double>(Clock::now() - std::exchange(last, Clock::now())).count();
    since_beat += elapsed;
    judge(stuck, stuck.tick(elapsed, collective_clock::entered(), collective_clock::finished()));
    if (at_once || since_beat >= interval) {
      beat();
      since_beat = 0;
    }
    lock.lock();
  }
}

// The heartbeats of the others are up to date when they are looked at: half a deadline is at least two intervals.
void Heartbeat::State::judge(StuckTime& stuck, double stuck_seconds) {
  if (stuck_seconds < deadline / 2) {
    pulses_before.clear();
    return;
  }
  if (pulses_before.empty()) pulses_before = pulses_of(folder, size);
  if (stuck_seconds <= deadline) return;
  beat();
  const double stale_seconds = std::max(3 * interval, deadline / 2);
  const auto behind = ranks_behind(folder, size, collective_clock::entered(), unix_seconds(), stale_seconds);
  const auto hung = without_sign_of_life(behind, pulses_before);
  if (behind.empty() || !hung.empty()) give_up(stuck_seconds, hung);
  pulses_before = pulses_of(folder, size);  // those behind are only slow
  stuck.restart_from(deadline / 2);
}

void Heartbeat::State::give_up(double stuck_seconds, const std::vector<RankBehind>& hung) {
  const Activity last = current_activity();
  log::error("rank " + std::to_string(rank) + " has waited " + std::to_string(static_cast<int64_t>(stuck_seconds)) +
             " s or more in collective " + std::to_string(collective_clock::entered()) + " (" + last.stage + " " + last.detail +
             "); " + describe(hung, unix_seconds()) +
             "; the run ends here and continues from its last checkpoint when started again");
  _exit(static_cast<int>(ExitCode::internal_fault));
}

Heartbeat::Heartbeat(std::filesystem::path folder, int rank, int size, double deadline_seconds)
    : state_(std::make_unique<State>()) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw_system_error("create the folder", folder, error.value());
  state_->folder = std::move(folder);
  state_->rank = rank;
  state_->size = size;
  state_->deadline = deadline_seconds;
  state_->interval = std::clamp(deadline_seconds / 4, 0.05, 10.0);
  state_->host = host_name();
  state_->beat();
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->leaving = true;
  }
  state_->wake.notify_one();
  state_->thread.join();
  state_->ended = true;
  state_->beat();
}

void Heartbeat::set(Activity activity) {
  const std::lock_guard lock(state_->mutex);
  if (activity.stage != state_->activity.stage) {
    state_->new_stage = true;
    state_->wake.notify_one();
  }
  state_->activity = std::move(activity);
}

}  // namespace eidolon
