#include "exporting/export_folder.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <exception>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/pulse.h"
#include "storage/atomic_file.h"
#include "storage/posix_file.h"
#include "storage/sha256.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;

constexpr const char* sums_name = "SHA256SUMS";

/// ".onnx.<host>." before the process number of a folder beside "onnx" that is being written or replaced.
std::string prefix_of(const fs::path& target) {
  std::string prefix = ".";
  prefix.append(target.filename().string()).append(".").append(host_name()).append(".");
  return prefix;
}

fs::path part_of(const fs::path& target, const char* what) {
  return target.parent_path() / prefix_of(target).append(std::to_string(getpid())).append(".").append(what);
}

bool is_alive(const std::string& process) {
  const bool is_number = !process.empty() && process.find_first_not_of("0123456789") == std::string::npos;
  return !is_number || kill(static_cast<pid_t>(std::stol(process)), 0) == 0 || errno != ESRCH;
}

/// What exports of this host left beside `target` that were killed. One that was about to be replaced gets its name back.
void mend_leftovers(const fs::path& target) {
  const std::string prefix = prefix_of(target);
  std::vector<fs::path> beside;
  for (const auto& entry : fs::directory_iterator(target.parent_path())) beside.push_back(entry.path());
  for (const fs::path& path : beside) {
    const std::string name = path.filename().string();
    const bool is_former = path.extension() == ".former";
    if (!name.starts_with(prefix) || (!is_former && path.extension() != ".part")) continue;
    if (is_alive(name.substr(prefix.size(), name.size() - prefix.size() - path.extension().string().size()))) continue;
    if (is_former && !fs::exists(target)) {
      fs::rename(path, target);
    } else {
      fs::remove_all(path);
    }
  }
}

void sync_folder(const fs::path& folder) {
  PosixFile file = PosixFile::open_folder(folder);
  file.sync_folder();
  file.close();
}

void sync_files_of(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    PosixFile file = PosixFile::open_for_reading(entry.path());
    file.sync();
    file.close();
    pulse();
  }
  sync_folder(folder);
}

void write_sums(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  std::string sums;
  for (const fs::path& file : files) {
    sums += sha256_of_file(file) + "  " + file.filename().string() + "\n";
    pulse();
  }
  write_text_atomically(folder / sums_name, sums);
}

}  // namespace

void require_place(const fs::path& target) {
  const bool taken = fs::exists(fs::symlink_status(target));
  const bool ours = fs::is_directory(fs::symlink_status(target)) && is_export_folder(target);
  if (taken && !ours)
    throw BadInput(target.string() + " is there and is no export of this program; move it, or choose another --out");
}

void write_folder(const fs::path& name, const std::function<void(const fs::path&)>& fill) {
  const fs::path target = fs::absolute(name);
  require_place(target);
  const fs::path part = part_of(target, "part"), former = part_of(target, "former");
  try {
    fs::create_directories(target.parent_path());
    mend_leftovers(target);
    fs::remove_all(part);
    fs::create_directory(part);
    fill(part);
    write_sums(part);
    sync_files_of(part);
    if (fs::exists(target)) fs::rename(target, former);
    fs::rename(part, target);
    sync_folder(target.parent_path());
    fs::remove_all(former);
  } catch (const std::exception& error) {
    std::error_code ignored;
    fs::remove_all(part, ignored);
    if (!fs::exists(target, ignored) && fs::exists(former, ignored)) fs::rename(former, target, ignored);
    const auto* disk = dynamic_cast<const fs::filesystem_error*>(&error);
    if (disk != nullptr)
      throw Fault("cannot write " + target.string() + ": " + disk->code().message() + "; --out names another folder");
    throw;
  }
}

bool is_export_folder(const fs::path& folder) {
  return fs::is_regular_file(folder / sums_name) && fs::is_regular_file(folder / "manifest.json");
}

std::string damaged_file_of(const fs::path& folder) {
  std::set<std::string> listed{sums_name};
  std::istringstream lines(read_text(folder / sums_name));
  for (std::string sum, name; lines >> sum >> name;) {
    const fs::path file = folder / name;
    std::error_code ignored;  // of a name that no file can have
    if (fs::path(name).filename() != name || !fs::is_regular_file(file, ignored) || sha256_of_file(file) != sum) return name;
    listed.insert(name);
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!listed.contains(name)) return name;
  }
  return {};
}

}  // namespace eidolon
