// What the user probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace eidolon {

/// Levenshtein's distance: insertions, deletions and replacements of one byte that lead from one word to the other.
std::size_t edit_distance(std::string_view from, std::string_view to);

/// The candidate with the least edit distance to `word`, of a long one to the 80 bytes that a message shows (the first of
/// equals); empty if there is none.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates);

/// Text of the user as it may stand in a one-line message: control bytes as '?', cut after 80 bytes.
std::string printable(std::string_view text);

}  // namespace eidolon
