#include "cluster/rank_table.h"

#include "cluster/cuda_devices.h"

namespace eidolon {
namespace {

/// What neighbouring ranks on one line have in common.
std::string common_text(const Placement& placement) {
  const std::string kind = placement.device.is_cuda() ? cuda_device_name(placement.device.index()) : std::string("cpu");
  const std::string& bound = placement.threads_bound_by;
  return placement.host + ": " + kind + ", " + std::to_string(placement.threads) +
         (placement.threads == 1 ? " thread each" : " threads each") + (bound.empty() ? "" : " (" + bound + ")");
}

std::string span(const std::vector<int>& ranks) {
  return (ranks.size() == 1 ? "rank " : "ranks ") + number_ranges(ranks);
}

}  // namespace

std::string number_ranges(const std::vector<int>& numbers) {
  std::string text;
  for (size_t i = 0; i < numbers.size();) {
    size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    if (!text.empty()) text.append(",");
    text.append(std::to_string(numbers[i]));
    if (last > i) text.append("-").append(std::to_string(numbers[last]));
    i = last + 1;
  }
  return text;
}

std::vector<std::string> rank_table(const Communicator& communicator, const Placement& placement) {
  const auto common = communicator.gather_texts(common_text(placement));
  const std::string place = placement.device.is_cuda() ? placement.device.str() : "cores " + placement.cores;
  const auto places = communicator.gather_texts(place);
  std::vector<std::string> lines;
  for (size_t first = 0; first < common.size();) {
    std::vector<int> ranks;
    std::string own_places;
    size_t next = first;
    for (; next < common.size() && common[next] == common[first]; ++next) {
      ranks.push_back(static_cast<int>(next));
      if (next == first || places[next] != places[next - 1]) own_places += (own_places.empty() ? "" : ", ") + places[next];
    }
    lines.push_back(span(ranks) + " on " + common[first] + "; " + own_places);
    first = next;
  }
  return lines;
}

}  // namespace eidolon
