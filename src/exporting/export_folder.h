// A folder that has its final name is complete: it is filled under another one.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace eidolon {

/// Calls `fill` with a new folder beside `name`, adds SHA256SUMS (as sha256sum --check reads it), syncs all to the disk and
/// gives the folder that name, in the place of one that was there. If anything fails, the new folder is removed and the old one
/// stays; what killed exports of this host have left is mended first. Fault if the disk fails; BadInput as require_place() if
/// something else stands there.
void write_folder(const std::filesystem::path& name, const std::function<void(const std::filesystem::path&)>& fill);

/// BadInput if something stands at `target` that is no export of this program, and would be lost.
void require_place(const std::filesystem::path& target);

/// It has SHA256SUMS and manifest.json.
bool is_export_folder(const std::filesystem::path& folder);

/// The name of the first file that is missing, has another sum than SHA256SUMS says, or is not in it; empty if there is none.
std::string damaged_file_of(const std::filesystem::path& folder);

}  // namespace eidolon
