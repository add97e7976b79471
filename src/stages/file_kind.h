// What a file is, told by its bytes: for those that hold no tensors of ours.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace eidolon {

/// Which JSON of the program, or of a teacher, has these fields: "manifest: every node of the student, ..."; empty for any
/// other.
std::string kind_of_json(const std::filesystem::path& file, const nlohmann::ordered_json& json);

/// What a file is that this program does not write, by how it begins: "is a PNG picture", with the remedy where there is one.
std::string kind_of_foreign(const std::filesystem::path& file, std::string_view begin);

}  // namespace eidolon
