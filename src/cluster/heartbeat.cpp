#include "cluster/heartbeat.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "cluster/collective_clock.h"
#include "cluster/heartbeat_file.h"
#include "cluster/log.h"
#include "cluster/watchdog.h"
#include "storage/posix_file.h"

namespace eidolon {

struct Heartbeat::State {
  std::filesystem::path folder;
  int rank, size;
  double deadline, interval;
  std::string host;

  std::mutex mutex;
  std::condition_variable wake;
  Activity activity;
  bool leaving = false;
  bool warned = false;
  std::thread thread;

  Activity current_activity() {
    const std::lock_guard lock(mutex);
    return activity;
  }
  void beat();
  void run();
  [[noreturn]] void give_up(double stuck_seconds);
};

void Heartbeat::State::beat() {
  const Activity now = current_activity();
  try {
    write_beat(folder, {rank, host, getpid(), now.stage, now.detail, collective_clock::entered(), unix_seconds()});
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
  while (!wake.wait_for(lock, std::chrono::duration<double>(tick), [&] { return leaving; })) {
    lock.unlock();
    const double elapsed = std::chrono::duration<double>(Clock::now() - std::exchange(last, Clock::now())).count();
    since_beat += elapsed;
    const double stuck_seconds = stuck.tick(elapsed, collective_clock::entered(), collective_clock::finished());
    if (stuck_seconds > deadline) give_up(stuck_seconds);
    if (since_beat >= interval) {
      beat();
      since_beat = 0;
    }
    lock.lock();
  }
}

// The heartbeats of the others are up to date by now: the deadline is several intervals long.
void Heartbeat::State::give_up(double stuck_seconds) {
  const int64_t collective = collective_clock::entered();
  beat();
  const Activity last = current_activity();
  const double stale_seconds = std::max(3 * interval, deadline / 2);
  log::error("rank " + std::to_string(rank) + " has waited " + std::to_string(static_cast<int64_t>(stuck_seconds)) +
             " s in collective " + std::to_string(collective) + " (" + last.stage + " " + last.detail + "); " +
             ranks_behind(folder, size, collective, unix_seconds(), stale_seconds) +
             "; the run ends here and continues from its last checkpoint when started again");
  _exit(static_cast<int>(ExitCode::internal_fault));
}

Heartbeat::Heartbeat(std::filesystem::path folder, int rank, int size, double deadline_seconds)
    : state_(std::make_unique<State>()) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw_system_error("create the folder", folder, error.value());
  char host[256] = {};
  if (gethostname(host, sizeof host - 1) != 0) throw_system_error("ask for the host's name for", folder, errno);
  state_->folder = std::move(folder);
  state_->rank = rank;
  state_->size = size;
  state_->deadline = deadline_seconds;
  state_->interval = std::clamp(deadline_seconds / 4, 0.05, 10.0);
  state_->host = host;
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
  state_->beat();
}

void Heartbeat::set(Activity activity) {
  const std::lock_guard lock(state_->mutex);
  state_->activity = std::move(activity);
}

}  // namespace eidolon
