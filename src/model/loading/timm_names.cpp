#include "model/loading/timm_names.h"

#include <algorithm>
#include <iterator>

namespace eidolon {
namespace {

constexpr TimmName names[] = {
#include "model/loading/timm_names.inc"
};

}  // namespace

std::optional<TimmName> timm_name(const std::string& architecture) {
  const std::string_view name = std::string_view(architecture).substr(0, architecture.find('.'));
  const TimmName* found = std::ranges::find(names, name, &TimmName::name);
  return found == std::end(names) ? std::nullopt : std::optional(*found);
}

}  // namespace eidolon
