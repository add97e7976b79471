// The targets of `eidolon export`: what each writes, and which students it can take.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "exporting/deployment.h"
#include "exporting/export_facts.h"
#include "quantization/student.h"

namespace eidolon {

/// A finished student as it is, and without the zero points that a runtime does not want (with_shifts()).
struct Export {
  Deployment kept, folded, all_folded;
  ExportFacts facts;
};
Export export_of(const Student& student, ExportFacts facts);

struct Target {
  std::string_view name;
  std::string_view description;
  /// BadInput naming the first node that the target cannot take, and the key that would help.
  void (*check)(const Export& content);
  /// Writes the target's files into a new folder. Equal students give equal bytes.
  void (*write)(const Export& content, const std::filesystem::path& folder);
};

const std::vector<Target>& export_targets();

/// BadInput with the names that there are, if there is no such target.
const Target& export_target(const std::string& name);

}  // namespace eidolon
