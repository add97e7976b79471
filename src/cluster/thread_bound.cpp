#include "cluster/thread_bound.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace eidolon {
namespace {

/// 0 if the text begins with no number, or with what goes on otherwise than a list does.
int64_t first_of_list(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
  return error == std::errc{} && (rest.empty() || rest.find_first_of(", \t") == 0) ? value : 0;
}

std::string quota_text(double cores) {
  char text[64];
  std::snprintf(text, sizeof text, "CPU quota of %.3g cores", cores);
  return text;
}

}  // namespace

ThreadBound bound_threads(const ProcessorShare& share) {
  ThreadBound bound{std::max<int64_t>(1, share.cores / share.ranks_on_cores), "cores"};
  const auto lower_to = [&](int64_t threads, const std::string& by) {
    if (threads < bound.threads) bound = {threads, by};
  };
  if (const int64_t asked = first_of_list(share.omp_num_threads); asked > 0) lower_to(asked, "OMP_NUM_THREADS");
  if (share.quota) {
    const double each = std::floor(*share.quota / static_cast<double>(share.ranks_on_host));
    lower_to(std::max<int64_t>(1, static_cast<int64_t>(std::min(each, 1e6))), quota_text(*share.quota));
  }
  return bound;
}

}  // namespace eidolon
