// A value that is one of several things, or a mixture of them with shares: "leaves" or "leaves:2, pink:1".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace eidolon {

struct MixtureShare {
  std::string name;
  int64_t share = 1;  ///< 1 to 1000, relative to the others
};

/// Nothing if the text is no such list. A share that is left out is 1. Names are not looked at.
std::optional<std::vector<MixtureShare>> mixture_shares(std::string_view text);

/// Item i of an endless sequence is entry i modulo the length. In every prefix of n items each name occurs fewer than one time
/// more or less often than n times its share of the whole. BadInput if the text is no mixture.
std::vector<std::string> mixture_cycle(std::string_view text);

/// Whether one of the entries has this name. BadInput if the text is no mixture.
bool has_entry(std::string_view text, std::string_view name);

/// "onnx, packed": the names between commas; none in an empty text.
std::vector<std::string> listed_names(std::string_view text);

}  // namespace eidolon
