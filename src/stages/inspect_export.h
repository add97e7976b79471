// What `eidolon inspect` says of an exported student.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace eidolon {

/// What `eidolon export` wrote. BadInput naming the first file that is not as it was written, or the manifest if its fields
/// are not those that this program writes.
std::string about_export(const std::filesystem::path& folder);

/// One field a line, of long lists and objects only the size.
std::string fields_text(const nlohmann::ordered_json& object);

}  // namespace eidolon
