// Mixed precision: other bits for some nodes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace eidolon {

/// "blocks.0.*: 8": every node whose name (model/node.h) matches the pattern gets 8 bits; "head.*: float" leaves them
/// unquantized.
struct BitRule {
  std::string pattern;          ///< of a shell: * and ?
  std::optional<int64_t> bits;  ///< 2 to 8; nothing: float

  bool matches(const std::string& node_name) const;
};

/// "blocks.0.*: 8, head.*: float"; of several rules that match a node, the last one holds. BadInput naming the rule that is
/// wrong.
std::vector<BitRule> bit_rules(std::string_view text);

}  // namespace eidolon
