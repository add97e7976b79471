// The steps of a section: what a forward pass does, as data, so that running a network and writing it into another program's
// file read the same description.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model/tap.h"

namespace eidolon {

inline constexpr double relu6_ceiling = 6;

enum class Activation {
  gelu,        ///< exact: x Phi(x)
  gelu_tanh,   ///< 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  quick_gelu,  ///< x sigmoid(1.702 x)
  silu,        ///< x sigmoid(x)
  relu,
  relu6,  ///< min(max(x, 0), 6)
};

// Each step turns the running value x into the next. Numbers are indices in the plan, names are parameters.
namespace steps {

struct Branch {};  ///< keeps x for the next Join
struct Join {};    ///< what the last Branch kept + x
struct Swap {};    ///< x and what the last Branch kept change places: the steps up to the Join are those of the other branch

/// LayerNorm over the last axis, with "<name>.weight" and "<name>.bias". Not centred: RMSNorm, x / sqrt(mean(x^2) + epsilon).
struct Norm {
  std::string name;
  double epsilon = 0;
  bool centred = true;
};

struct Multiply {  ///< a linear layer; of maps: a convolution whose result is tokens, one per place
  size_t product = 0;
};

struct Convolve {  ///< a convolution from maps to maps
  size_t product = 0;
};

struct Attend {
  size_t attention = 0;
};

struct Activate {
  Activation activation = Activation::gelu;
};

/// The last axis is [a; b]: activation(a) b, half as wide.
struct Gate {
  Activation activation = Activation::silu;
};

/// The parameter's tokens, 1 x n x D, in front of those of x.
struct Prepend {
  std::string tokens;
};

/// x + parameter, the same for all images.
struct Add {
  std::string parameter;
};

/// B N D -> B D', one after the other along the channels: the tokens, then the mean over the tokens from `mean_from` on.
struct Pool {
  std::vector<int64_t> tokens = {};
  std::optional<int64_t> mean_from = {};
};

/// B N D -> B D by attention with one query that is the same for all images: the parameter "<query>", 1 x H x 1 x D/H.
struct PoolByAttention {
  NodeId key = {}, value = {}, probabilities = {};
  std::string query;
  int64_t heads = 1;
  size_t kv = 0, proj = 0;  ///< products; keys come first in the outputs of kv
};

/// B (S S) D -> B (S/2 S/2) (4 D): the tokens of 2 x 2 places one after the other, (0, 0), (1, 0), (0, 1), (1, 1) as (row,
/// column). A row and a column of zeros are added to an odd side (Liu et al., 2021, arXiv 2103.14030, section 3.1).
struct Merge {
  int64_t grid = 0;  ///< S
};

/// B D -> B n: the cosine of x with each row of the parameter n x D, whose length is the temperature's inverse.
struct Compare {
  std::string rows;
};

struct ToMaps {};  ///< B (S S) D -> B D S S

struct MaxPool {  ///< of maps, with borders of -infinity
  int64_t kernel = 2, stride = 2, padding = 0;
};

/// Every stride-th row and column of maps, and zeros for as many further channels, half of them in front (option A of He et
/// al., 2016, arXiv 1512.03385, section 4.2).
struct Subsample {
  int64_t stride = 1, channels = 0;
};

struct MeanPlaces {};  ///< B C H W -> B C

}  // namespace steps

using Step = std::variant<steps::Branch, steps::Join, steps::Swap, steps::Norm, steps::Multiply, steps::Convolve, steps::Attend,
                          steps::Activate, steps::Gate, steps::Prepend, steps::Add, steps::Pool, steps::PoolByAttention,
                          steps::Compare, steps::Merge, steps::ToMaps, steps::MaxPool, steps::Subsample, steps::MeanPlaces>;

}  // namespace eidolon
