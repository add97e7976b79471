#include "job/mixture.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <system_error>

#include "base/error.h"
#include "base/trimmed.h"
#include "job/nearest.h"

namespace eidolon {
namespace {

constexpr int64_t largest_share = 1000;

std::optional<MixtureShare> share_of(std::string_view part) {
  const size_t colon = part.find(':');
  MixtureShare share{std::string(trimmed(part.substr(0, colon))), 1};
  if (share.name.empty()) return std::nullopt;
  if (colon == std::string_view::npos) return share;
  const std::string_view digits = trimmed(part.substr(colon + 1));
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), share.share);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  return whole && share.share >= 1 && share.share <= largest_share ? std::optional(share) : std::nullopt;
}

}  // namespace

std::optional<std::vector<MixtureShare>> mixture_shares(std::string_view text) {
  std::vector<MixtureShare> shares;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const auto share = share_of(text.substr(begin, end - begin));
    if (!share) return std::nullopt;
    shares.push_back(*share);
    begin = end + 1;
  }
  return shares;
}

// The quota method (Tijdeman, Discrete Mathematics 32, 1980): of those that are behind their due share take the one that
// would exceed it first.
std::vector<std::string> mixture_cycle(std::string_view text) {
  const auto shares = mixture_shares(text);
  if (!shares) throw BadInput("'" + printable(text) + "' is no mixture such as \"leaves:2, pink:1\"");
  const int64_t total = std::accumulate(shares->begin(), shares->end(), int64_t{0},
                                        [](int64_t sum, const MixtureShare& share) { return sum + share.share; });
  std::vector<int64_t> taken(shares->size());
  std::vector<std::string> cycle;
  for (int64_t n = 1; n <= total; ++n) {
    const auto behind = [&](size_t i) { return taken[i] * total < n * (*shares)[i].share; };
    const auto sooner = [&](size_t i, size_t j) {  // (taken + 1) / share is when its next item is due, in cycles
      return (taken[i] + 1) * (*shares)[j].share < (taken[j] + 1) * (*shares)[i].share;
    };
    size_t next = shares->size();
    for (size_t i = 0; i < shares->size(); ++i) {
      if (behind(i) && (next == shares->size() || sooner(i, next))) next = i;
    }
    ++taken[next];
    cycle.push_back((*shares)[next].name);
  }
  return cycle;
}

bool has_entry(std::string_view text, std::string_view name) {
  const std::vector<std::string> cycle = mixture_cycle(text);
  return std::ranges::find(cycle, name) != cycle.end();
}

std::vector<std::string> listed_names(std::string_view text) {
  std::vector<std::string> names;
  if (trimmed(text).empty()) return names;
  while (true) {
    const size_t comma = text.find(',');
    names.emplace_back(trimmed(text.substr(0, comma)));
    if (comma == std::string_view::npos) return names;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace eidolon
