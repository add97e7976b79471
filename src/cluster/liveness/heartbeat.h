// Heartbeats: a file per rank that states what the rank does, and the thread that writes it and watches the other
// ranks.
//
// The launcher notices a rank that dies. A rank that hangs is noticed only through the heartbeats.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace eidolon {

/// What a rank works on.
struct Activity {
  std::string stage;           ///< "synthesize", "finetune", ...
  std::string detail;          ///< "unit 00000016 iteration 120", "reconstruct/blocks.3 step 40"
  double done = 0, total = 0;  ///< of the stage, in `unit`; total is 0 if not known
  double rate = 0;             ///< `unit` per second
  std::string unit = {};       ///< "views", "images", ...
};

/// A thread that writes this rank's heartbeat and acts as its watchdog. It makes no MPI or NCCL call.
///
/// It writes rank-NNNN.json (a Beat) every 10 s, or every quarter of the deadline if that is less. The watchdog acts
/// once this rank has been inside a collective (collective_clock.h) for `deadline_seconds`. Time for which the process
/// was suspended does not count. It then reads the heartbeats of the ranks that are stale or at a lower collective. If
/// each of them has called pulse() (base/pulse.h) within half the deadline, they are only slow, and it waits on.
/// Otherwise it logs one line that names the ranks that hang, and ends the process with _exit(70).
class Heartbeat {
 public:
  /// Throws Fault if `folder` cannot be made. A heartbeat that cannot be written later is only logged, once.
  Heartbeat(std::filesystem::path folder, int rank, int size, double deadline_seconds);
  ~Heartbeat();
  void set(Activity activity);  ///< from the main thread, at any time

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The contents of a heartbeat file, `folder`/rank-NNNN.json.
struct Beat {
  int rank = 0;
  std::string host;
  int64_t pid = 0;
  std::string stage;
  std::string detail;
  int64_t collective = 0;      ///< number of the newest collective that this rank has begun
  double time = 0;             ///< Unix seconds at which this was written
  int64_t pulses = 0;          ///< how often the process has called pulse() (base/pulse.h)
  bool ended = false;          ///< the last heartbeat of a process that exits, after an error too
  double done = 0, total = 0;  ///< as in Activity
  double rate = 0;
  std::string unit = {};
};

std::filesystem::path beat_file(const std::filesystem::path& folder, int rank);

void write_beat(const std::filesystem::path& folder, const Beat& beat);  ///< atomically; throws Fault

/// None if the file is absent, torn or not a heartbeat.
std::optional<Beat> read_beat(const std::filesystem::path& file);

/// Removes the folders of launches that ended a minute ago, and of those without a heartbeat for an hour. Never throws.
void forget_old_heartbeats(const std::filesystem::path& heartbeats);

double unix_seconds();  ///< now

/// Whether `time` lies within `stale_seconds` of `now`, before or after. A time far in the future comes from a wrong
/// clock and would otherwise count as recent until that time.
bool is_recent(double time, double now, double stale_seconds);

}  // namespace eidolon
