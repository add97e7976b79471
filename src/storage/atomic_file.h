// Atomic files: a file that has its final name is complete. It is written as NAME.<host>.<pid>.part, synced and
// renamed.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace eidolon {

/// Calls `write` with the path of a `.part` file beside `target`; the callee creates, fills and closes it. Then syncs
/// it, renames it to `target` and syncs the folder.
///
/// If `write` or a system call fails, the part file is removed and the error is passed on; a failed system call throws
/// Fault. If the part file vanishes (remove_parts() of another process), it is written again, so `write` is called up
/// to three times. Several processes may write the same target: the last rename wins, and readers never see a mixture.
/// Two threads of one process must not, since they would share the part file.
void write_atomically(const std::filesystem::path& target, const std::function<void(const std::filesystem::path&)>& write);

void write_text_atomically(const std::filesystem::path& target, std::string_view text);

/// Removes the part files in `folder` whose names begin with `prefix`, which killed writers have left. Only for a
/// process that holds the sole right to write those files.
void remove_parts(const std::filesystem::path& folder, const std::string& prefix);

/// Creates `target` with `text` unless it exists, as durably as write_atomically(). False if it exists; it is then left
/// as it is. If several processes try at once, exactly one succeeds, on network file systems too.
bool create_exclusively(const std::filesystem::path& target, std::string_view text);

std::string read_text(const std::filesystem::path& path);  ///< throws Fault naming the path

/// Waits up to `seconds` for a file that another node has written. A network file system may show it late: NFS caches a
/// folder for up to a minute. Returns whether the file exists.
bool await_file(const std::filesystem::path& path, double seconds);

}  // namespace eidolon
