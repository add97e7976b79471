#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "quantization/format.h"

namespace eidolon {

const std::vector<const Format*>& all_formats() {
  static const std::vector<const Format*> all{&formats::uniform,   &formats::companded, &formats::log2,
                                              &formats::log_sqrt2, &formats::e4m3,      &formats::e5m2,
                                              &formats::e3m2,      &formats::e2m3,      &formats::e2m1};
  return all;
}

const Format& format_named(const std::string& name, const std::string& where) {
  std::string known;
  for (const Format* format : all_formats()) {
    if (format->name == name) return *format;
    known += (known.empty() ? "" : ", ") + format->name;
  }
  throw BadInput(where + " = \"" + name + "\" is not a number format; there are " + known);
}

}  // namespace eidolon
