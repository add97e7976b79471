// The steps of a section: what a forward pass does, as data, so that running a network and writing it into another program's
// file read the same description.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

namespace eidolon {

// Each step turns the running value x into the next. Numbers are indices in the plan, names are parameters.
namespace steps {

struct Branch {};  ///< keeps x for the next Join
struct Join {};    ///< what the last Branch kept + x

/// LayerNorm over the last axis, with "<name>.weight" and "<name>.bias".
struct Norm {
  std::string name;
  double epsilon = 0;
};

struct Multiply {
  size_t product = 0;
};

struct Attend {
  size_t attention = 0;
};

struct Gelu {};  ///< exact: x Phi(x)

/// The parameter's tokens, 1 x n x D, in front of those of x.
struct Prepend {
  std::string tokens;
};

/// x + parameter, the same for all images.
struct Add {
  std::string parameter;
};

struct SelectToken {  ///< B N D -> B D
  int64_t token = 0;
};

}  // namespace steps

using Step = std::variant<steps::Branch, steps::Join, steps::Norm, steps::Multiply, steps::Attend, steps::Gelu, steps::Prepend,
                          steps::Add, steps::SelectToken>;

}  // namespace eidolon
