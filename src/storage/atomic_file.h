// A finished name is a finished file: write NAME.<host>.<pid>.part, fsync, rename, fsync the folder.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace eidolon {

/// Calls `write` with the path of a new `.part` file beside `target` (the callee creates, fills and closes it), then
/// syncs it to disk, renames it to `target` and syncs the folder. If `write` or a system call fails, the part file is removed
/// and the error goes on (system calls: Fault with the path, strerror and a remedy such as "free some space and run again").
/// A part file that vanishes meanwhile (remove_parts() of a process that thought this one dead) is written again, so `write`
/// may be called up to three times.
/// Processes may write the same target at the same time: the last rename wins, and no reader ever sees a mixture. Two threads
/// of one process must not, for they would share the part file.
void write_atomically(const std::filesystem::path& target, const std::function<void(const std::filesystem::path&)>& write);

void write_text_atomically(const std::filesystem::path& target, std::string_view text);

/// Removes what killed writers left in `folder` of files whose names begin with `prefix`. Only for whoever alone may write
/// those files now.
void remove_parts(const std::filesystem::path& folder, const std::string& prefix);

/// Makes `target` with `text` if nothing has that name, as durably as write_atomically(); of several that try, one succeeds, on
/// network file systems too. False if the name is taken; its bytes are then left alone.
bool create_exclusively(const std::filesystem::path& target, std::string_view text);

std::string read_text(const std::filesystem::path& path);  ///< throws Fault naming the path

}  // namespace eidolon
