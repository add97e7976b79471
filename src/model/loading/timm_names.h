// What timm's names of architectures say and neither their config.json nor their weights do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace eidolon {

/// How queries and keys of patches turn with their places (Su et al., 2021, arXiv 2104.09864). The frequencies are
/// temperature^(-k / n), k = 0 ... n - 1, with n = D/4H for each axis.
struct Rotation {
  std::string_view kind = {};  ///< empty: none; "cat": by index; "dinov3": by centres in [-1, 1]; "mixed": learned frequencies
  double temperature = 10000;
  double reference = 0;        ///< patches a side to which the grid is stretched; 0: it is not
  double offset = 0;           ///< added to an index
  bool columns_first = false;  ///< the column's angles come in front of the row's
  bool halves = false;         ///< channel c turns with c + D/2H; otherwise with its neighbour
};

struct TimmName {
  std::string_view name;
  int64_t width = 0;  ///< of the tokens; weights of another width are another architecture, whatever they are called
  int64_t heads = 0;
  std::string_view activation = "gelu";
  double epsilon = 1e-6;               ///< of the norms
  std::string_view pooling = "token";  ///< timm's: token | avg | map | none
  int64_t pool_heads = 0;              ///< of attention pooling; 0: as many as the blocks have
  Rotation rope = {};
  bool same_padding = false;      ///< convolutions are padded as TensorFlow does it
  std::string_view missing = {};  ///< what of it is not built; empty: nothing
};

/// Of "vit_tiny_patch16_224", also with a tag: "vit_tiny_patch16_224.augreg_in21k".
std::optional<TimmName> timm_name(const std::string& architecture);

}  // namespace eidolon
