#include "storage/late_file.h"

#include <chrono>
#include <thread>

#include "base/pulse.h"

namespace eidolon {
namespace {

/// Listing the folder makes a network file system ask its server again; a name it once found missing it may keep missing.
bool appears(const std::filesystem::path& path) {
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry(path.parent_path(), ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    if (entry->path().filename() == path.filename()) return true;
  }
  return std::filesystem::exists(path, ignored);
}

}  // namespace

bool await_file(const std::filesystem::path& path, double seconds) {
  using Clock = std::chrono::steady_clock;
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return true;
  const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    pulse();  // waiting here is known to end
    if (appears(path)) return true;
  }
  return false;
}

}  // namespace eidolon
