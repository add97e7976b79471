// A claim: a small file which says that a rank is at work on something, so that others leave it alone.
//
// Made by exclusive creation, removed when the work ends. There is no file lock: network file systems differ in them, and a
// lock would die unseen with its node. A holder that lives no more is recognised by its process or by its heartbeat, and its
// claim is taken over.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "cluster/liveness/process_identity.h"

namespace eidolon {

/// Who claims, and who holds.
struct Claimant {
  std::string launch;
  int rank = 0;
  ProcessIdentity process;
  std::string heartbeats;  ///< the launch's folder of them, an absolute path of any bytes
  double since = 0;        ///< unix seconds at which the claim was made
  std::string work = {};   ///< what is made, for others to compare with what they would make; empty: not stated
};

/// "rank 0 of launch 20260301-120000-n1-4711 on n1 (pid 4711, Slurm job 12)"
std::string describe(const Claimant& claimant);

/// Held while the object lives. Move only.
class Claim {
 public:
  /// Nothing if another holder lives: its process is seen to run or, where that cannot be seen, its claim or its heartbeat is
  /// dated within `stale_seconds` of now (is_recent). Taking over a dead one's takes 2 s: of several that try, the last to
  /// write the file has it. Fault if the file system fails.
  static std::optional<Claim> take(const std::filesystem::path& file, const Claimant& self, double stale_seconds);
  Claim(Claim&& other) noexcept;
  Claim& operator=(Claim&& other) noexcept;
  ~Claim();  ///< removes the file if it still names this holder

  /// False once somebody has taken the claim over, thinking this process dead (it was suspended, or cut off). Reads one small
  /// file: cheap enough before every write that a second holder would spoil.
  bool still_held() const;

 private:
  Claim(std::filesystem::path file, Claimant self);
  std::filesystem::path file_;
  Claimant self_;
};

/// Whom the claim names; nothing if there is no such file. An unreadable one has only `since`, the file's time.
std::optional<Claimant> holder_of(const std::filesystem::path& file);

/// The same, if it lives as Claim::take() understands it; `asker` is this process.
std::optional<Claimant> living_holder_of(const std::filesystem::path& file, const Claimant& asker, double stale_seconds);

}  // namespace eidolon
