#include "procedural/procedural_image.h"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/upsample_bicubic2d.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "procedural/canvas.h"
#include "procedural/families.h"

namespace eidolon {
namespace {

struct Family {
  std::string_view name;
  Picture (*draw)(RandomStream& random, int64_t channels, int64_t size);
};

constexpr std::array families{Family{"pink", coloured_noise}, Family{"leaves", dead_leaves}, Family{"scenes", scene},
                              Family{"textures", warped_texture}};

constexpr int64_t smallest_size = 16;
constexpr long long smallest_side = 4;  ///< of a picture before it is enlarged

const Family& family_of(const std::string& name) {
  const auto* const found = std::ranges::find(families, name, &Family::name);
  if (found != families.end()) return *found;
  std::string names;
  for (const Family& family : families) names.append(names.empty() ? "" : ", ").append(family.name);
  throw BadInput("no family of procedural images is called '" + name + "'; there are " + names);
}

/// Means over areas, then cubic interpolation back to the size.
Tensor as_enlarged(const Tensor& image, double factor) {
  const int64_t size = image.size(-1);
  const int64_t small = std::max(std::llround(static_cast<double>(size) / factor), smallest_side);
  const Tensor reduced = at::adaptive_avg_pool2d(image.unsqueeze(0), {small, small});
  return at::upsample_bicubic2d(reduced, {size, size}, /*align_corners=*/false).squeeze(0).clamp(0, 1);
}

}  // namespace

std::vector<std::string_view> procedural_families() {
  std::vector<std::string_view> names;
  for (const Family& family : families) names.push_back(family.name);
  return names;
}

Tensor procedural_image(const std::string& family, RandomStream& random, int64_t channels, int64_t size,
                        double enlargement) {
  const Family& chosen = family_of(family);
  if (size < smallest_size) {
    throw BadInput("procedural images are " + std::to_string(smallest_size) + " pixels wide at least, not " +
                   std::to_string(size));
  }
  Picture picture = chosen.draw(random, channels, size);
  expose(random, picture);
  const Tensor image = picture.tensor();
  return enlargement > 1 ? as_enlarged(image, std::exp(random.uniform(0, std::log(enlargement)))) : image;
}

}  // namespace eidolon
