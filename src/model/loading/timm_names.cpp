#include "model/loading/timm_names.h"

#include <string_view>

namespace eidolon {
namespace {

struct Row {
  std::string_view name;
  int64_t width, heads;
};

constexpr Row rows[] = {
#include "model/loading/timm_names.inc"
};

}  // namespace

std::optional<HeadsOfName> heads_of_timm_name(const std::string& architecture) {
  const std::string_view name = std::string_view(architecture).substr(0, architecture.find('.'));
  for (const Row& row : rows) {
    if (row.name == name) return HeadsOfName{row.width, row.heads};
  }
  return std::nullopt;
}

}  // namespace eidolon
