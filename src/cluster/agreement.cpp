#include "cluster/agreement.h"

#include <ATen/Version.h>
#include <torch/version.h>

#include <sstream>
#include <string_view>

#include "cluster/cluster.h"
#include "cluster/on_root.h"
#include "storage/posix_file.h"
#include "storage/sha256.h"

namespace eidolon {
namespace {

constexpr std::string_view capability_label = "CPU capability usage: ";

/// "'a' against 'b'" of the first line that differs; empty if none does.
std::string first_difference(const std::string& here, const std::string& there) {
  std::istringstream ours(here), theirs(there);
  for (;;) {
    std::string a, b;
    const bool more_here = static_cast<bool>(std::getline(ours, a)), more_there = static_cast<bool>(std::getline(theirs, b));
    if (!more_here && !more_there) return "";
    if (a != b || more_here != more_there) return "'" + a + "' against '" + b + "'";
  }
}

}  // namespace

void require_same(const Communicator& communicator, const std::string& what, const std::string& text,
                  const std::string& remedy) {
  const std::string difference = first_difference(text, communicator.broadcast_text(text));
  const auto differences = communicator.gather_texts(difference);
  const auto hosts = communicator.gather_texts(host_name());
  for (size_t rank = 0; rank < differences.size(); ++rank) {
    if (differences[rank].empty()) continue;
    throw_once(communicator, BadInput(what + " of rank " + std::to_string(rank) + " on " + hosts[rank] +
                                      " is not that of rank 0 on " + hosts[0] + ": " + differences[rank] + "; " + remedy));
  }
}

std::string program_fingerprint(const std::string& version) {
  return "eidolon " + version + "\nsha256 " + sha256_of_file("/proc/self/exe");
}

std::string libtorch_fingerprint() {
  std::istringstream lines(at::show_config());
  std::string text = std::string("libtorch ") + TORCH_VERSION;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(capability_label) == std::string::npos) text += "\n" + line;
  }
  return text;
}

std::string cpu_capability() {
  const std::string text = at::show_config();
  const size_t label = text.find(capability_label);
  if (label == std::string::npos) return "unknown";
  const size_t start = label + capability_label.size();
  return text.substr(start, text.find('\n', start) - start);
}

}  // namespace eidolon
