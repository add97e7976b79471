#include "procedural/procedural_image.h"

#include <algorithm>
#include <array>

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

const Family& family_of(const std::string& name) {
  const auto* const found = std::ranges::find(families, name, &Family::name);
  if (found != families.end()) return *found;
  std::string names;
  for (const Family& family : families) names.append(names.empty() ? "" : ", ").append(family.name);
  throw BadInput("no family of procedural images is called '" + name + "'; there are " + names);
}

}  // namespace

std::vector<std::string_view> procedural_families() {
  std::vector<std::string_view> names;
  for (const Family& family : families) names.push_back(family.name);
  return names;
}

Tensor procedural_image(const std::string& family, RandomStream& random, int64_t channels, int64_t size) {
  const Family& chosen = family_of(family);
  if (size < smallest_size) {
    throw BadInput("procedural images are " + std::to_string(smallest_size) + " pixels wide at least, not " +
                   std::to_string(size));
  }
  Picture picture = chosen.draw(random, channels, size);
  expose(random, picture);
  return picture.tensor();
}

}  // namespace eidolon
