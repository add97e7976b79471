// A claim: a small file that reserves a piece of work for one rank.
//
// The file is created exclusively and removed when the work ends. File locks are not used: network file systems
// implement them differently, and a lock may be lost with its node unnoticed. A holder that no longer runs is
// recognised by its process or its heartbeat, and its claim is taken over.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "cluster/liveness/process_identity.h"

namespace eidolon {

/// The process that asks for a claim or holds it.
struct Claimant {
  std::string launch;
  int rank = 0;
  ProcessIdentity process;
  std::string heartbeats;  ///< the launch's heartbeat folder: an absolute path of any bytes
  double since = 0;        ///< Unix seconds at which the claim was made
  std::string work = {};   ///< identity of the work, for other launches to compare with theirs; empty if not stated
};

/// "rank 0 of launch 20260301-120000-n1-4711 on n1 (pid 4711, Slurm job 12)"
std::string describe(const Claimant& claimant);

/// A claim held by this process, until it is destroyed. Move only.
class Claim {
 public:
  /// Takes the claim; none if another holder is alive. A holder is alive if its process is known to run. If that cannot
  /// be known, it is alive if its claim or heartbeat is recent (is_recent with `stale_seconds`). Taking over the claim
  /// of a dead holder takes 2 s: if several ranks try, the last to write the file has it. Throws Fault if the file
  /// system fails.
  static std::optional<Claim> take(const std::filesystem::path& file, const Claimant& self, double stale_seconds);
  Claim(Claim&& other) noexcept;
  Claim& operator=(Claim&& other) noexcept;
  ~Claim();  ///< removes the file if it still names this holder

  /// False once another process has taken the claim over, e.g. because this one was suspended. Reads one small file, so
  /// it can be called before each write that two holders must not both make.
  bool still_held() const;

 private:
  Claim(std::filesystem::path file, Claimant self);
  std::filesystem::path file_;
  Claimant self_;
};

/// The holder named by a claim file; none if the file is absent. Of an unreadable file only `since` is set, to its time
/// stamp.
std::optional<Claimant> holder_of(const std::filesystem::path& file);

/// The same, but none if the holder is not alive in the sense of Claim::take(). `asker` is this process.
std::optional<Claimant> living_holder_of(const std::filesystem::path& file, const Claimant& asker, double stale_seconds);

}  // namespace eidolon
