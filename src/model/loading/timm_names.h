// What timm's names of architectures say and neither their config.json nor their weights do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace eidolon {

struct HeadsOfName {
  int64_t width = 0;  ///< of the tokens; weights of another width are another architecture, whatever they are called
  int64_t heads = 0;
};

/// Of a plain vision transformer ("vit_tiny_patch16_224", also with a tag: "vit_tiny_patch16_224.augreg_in21k").
std::optional<HeadsOfName> heads_of_timm_name(const std::string& architecture);

}  // namespace eidolon
