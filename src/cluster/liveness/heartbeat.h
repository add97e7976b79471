// A heartbeat file per rank, and the watchdog that reads those of the others. A rank that dies is noticed by the launcher; one
// that hangs is noticed only here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace eidolon {

/// What a rank says of itself; set it from the main thread at any time.
struct Activity {
  std::string stage;           ///< "synthesize", "finetune", ...
  std::string detail;          ///< "unit 00000016 iteration 120", "reconstruct/blocks.3 step 40"
  double done = 0, total = 0;  ///< of the stage, in `unit`; total 0: not known
  double rate = 0;             ///< `unit` per second
  std::string unit = {};
};

/// A thread that every 10 s (a quarter of the deadline if that is less) writes rank-NNNN.json into `folder` (stage, detail,
/// number of the current collective, signs of life, unix time, host, pid) atomically, and watches: once this rank has been
/// inside a collective (collective_clock.h) for longer than `deadline_seconds`, time in which the whole process was suspended
/// not counted, it looks at the ranks with a stale heartbeat or a lower collective number. While each of them has given a sign
/// of life (base/pulse.h) within half the deadline they are only slow, and it waits on; otherwise it prints one line that names
/// those which have not, and leaves with _exit(70). It makes no MPI or NCCL call. Fault if `folder` cannot be made; a heartbeat
/// that cannot be written is warned about once.
class Heartbeat {
 public:
  Heartbeat(std::filesystem::path folder, int rank, int size, double deadline_seconds);
  ~Heartbeat();
  void set(Activity activity);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct Beat {
  int rank = 0;
  std::string host;
  int64_t pid = 0;
  std::string stage;
  std::string detail;
  int64_t collective = 0;      ///< number of the newest collective this rank has begun
  double time = 0;             ///< unix seconds at which this was written
  int64_t pulses = 0;          ///< signs of life of the main thread (base/pulse.h)
  bool ended = false;          ///< the last beat of a process that leaves, by an error too
  double done = 0, total = 0;  ///< of the stage, in `unit`; total 0: not known
  double rate = 0;             ///< `unit` per second
  std::string unit = {};       ///< "views", "images", ...
};

std::filesystem::path beat_file(const std::filesystem::path& folder, int rank);

void write_beat(const std::filesystem::path& folder, const Beat& beat);  ///< atomically; throws Fault

/// Nothing if the file is absent, torn or not a heartbeat.
std::optional<Beat> read_beat(const std::filesystem::path& file);

/// Removes the folders of launches that have ended, and of those not heard of within an hour (is_recent). Never throws.
void forget_old_heartbeats(const std::filesystem::path& heartbeats);

double unix_seconds();

/// Whether what is dated `time` was heard of within `stale_seconds`. A date so far ahead of `now` counts as little as one so
/// far behind: it comes from a clock that runs wrong, and would else hold until that time has come.
bool is_recent(double time, double now, double stale_seconds);

}  // namespace eidolon
