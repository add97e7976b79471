#include "cluster/liveness/claim.h"

#include <sys/stat.h>

#include <chrono>
#include <exception>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "base/bounded_json.h"
#include "base/error.h"
#include "cluster/liveness/heartbeat.h"
#include "cluster/log.h"
#include "storage/atomic_file.h"
#include "storage/percent_encoding.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;

// Long enough for whoever saw the same dead holder to have written its own name too.
constexpr std::chrono::seconds settling{2};

std::string text_of(const Claimant& claimant) {
  const ordered_json json = {{"launch", claimant.launch},   {"rank", claimant.rank},
                             {"process", claimant.process}, {"heartbeats", percent_encoded(claimant.heartbeats)},
                             {"since", claimant.since},     {"work", claimant.work}};
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

bool same(const Claimant& a, const Claimant& b) {
  return a.launch == b.launch && a.rank == b.rank;
}

bool lives(const Claimant& holder, const Claimant& asker, double stale_seconds) {
  const Life life = life_of(holder.process, asker.process);
  if (life != Life::unknown) return life == Life::running;
  const auto beat = read_beat(beat_file(holder.heartbeats, holder.rank));
  if (beat && beat->ended) return false;
  const double now = unix_seconds();
  return is_recent(holder.since, now, stale_seconds) || (beat && is_recent(beat->time, now, stale_seconds));
}

}  // namespace

std::string describe(const Claimant& claimant) {
  if (claimant.launch.empty()) return "somebody whose claim cannot be read";
  const ProcessIdentity& process = claimant.process;
  return "rank " + std::to_string(claimant.rank) + " of launch " + claimant.launch + " on " + process.host + " (pid " +
         std::to_string(process.pid) + (process.slurm_job.empty() ? "" : ", Slurm job " + process.slurm_job) + ")";
}

std::optional<Claimant> holder_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::lstat(file.c_str(), &status) != 0) return std::nullopt;
  Claimant holder;
  holder.since = static_cast<double>(status.st_mtime);
  try {
    const auto json = bounded_json<ordered_json>(read_text(file));
    return Claimant{json.at("launch"),
                    json.at("rank"),
                    json.at("process").get<ProcessIdentity>(),
                    percent_decoded(json.at("heartbeats").get<std::string>()),
                    json.at("since"),
                    json.value("work", std::string())};
  } catch (const ordered_json::exception&) {
    return holder;
  } catch (const Fault&) {  // removed in between, or unreadable
    return ::lstat(file.c_str(), &status) == 0 ? std::optional(holder) : std::nullopt;
  }
}

std::optional<Claimant> living_holder_of(const std::filesystem::path& file, const Claimant& asker, double stale_seconds) {
  std::optional<Claimant> holder = holder_of(file);
  return holder && lives(*holder, asker, stale_seconds) ? holder : std::nullopt;
}

std::optional<Claim> Claim::take(const std::filesystem::path& file, const Claimant& self, double stale_seconds) {
  Claimant now = self;
  now.since = unix_seconds();
  if (create_exclusively(file, text_of(now))) return Claim(file, now);
  const std::optional<Claimant> holder = holder_of(file);
  if (!holder) return std::nullopt;  // released this instant; its work may be done
  if (lives(*holder, now, stale_seconds)) return std::nullopt;

  log::warn(file.string() + " was held by " + describe(*holder) + ", which is gone; it is taken over");
  write_text_atomically(file, text_of(now));
  Claim claim(file, now);
  std::this_thread::sleep_for(settling);
  if (!claim.still_held()) return std::nullopt;
  return claim;
}

Claim::Claim(std::filesystem::path file, Claimant self) : file_(std::move(file)), self_(std::move(self)) {}

Claim::Claim(Claim&& other) noexcept : file_(std::exchange(other.file_, {})), self_(std::move(other.self_)) {}

Claim& Claim::operator=(Claim&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(self_, other.self_);
  return *this;
}

Claim::~Claim() {
  if (file_.empty()) return;
  try {
    if (still_held()) std::filesystem::remove(file_);
  } catch (const std::exception& error) {  // what is left goes stale
    log::warn(error.what());
  }
}

bool Claim::still_held() const {
  const std::optional<Claimant> holder = holder_of(file_);
  return holder && same(*holder, self_);
}

}  // namespace eidolon
