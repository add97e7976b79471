#include "exporting/export_folder.h"

#include <unistd.h>

#include <algorithm>
#include <exception>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "storage/atomic_file.h"
#include "storage/sha256.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;

constexpr const char* sums_name = "SHA256SUMS";

/// ".onnx.<host>.<pid>.part" beside "onnx".
fs::path part_of(const fs::path& target, const char* what) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  std::string name = ".";
  name.append(target.filename().string()).append(".").append(host).append(".");
  name.append(std::to_string(getpid())).append(".").append(what);
  return target.parent_path() / name;
}

void write_sums(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  std::string sums;
  for (const fs::path& file : files) sums += sha256_of_file(file) + "  " + file.filename().string() + "\n";
  write_text_atomically(folder / sums_name, sums);
}

}  // namespace

void require_place(const fs::path& target) {
  const bool taken = fs::exists(fs::symlink_status(target));
  const bool ours = fs::is_directory(fs::symlink_status(target)) && is_export_folder(target);
  if (taken && !ours)
    throw BadInput(target.string() + " is there and is no export of this program; move it, or choose another --out");
}

void write_folder(const fs::path& target, const std::function<void(const fs::path&)>& fill) {
  require_place(target);
  const fs::path part = part_of(target, "part"), former = part_of(target, "former");
  try {
    fs::create_directories(target.parent_path());
    fs::remove_all(part);
    fs::create_directory(part);
    fill(part);
    write_sums(part);
    if (fs::exists(target)) fs::rename(target, former);
    fs::rename(part, target);
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
    if (fs::path(name).filename() != name || !fs::is_regular_file(file) || sha256_of_file(file) != sum) return name;
    listed.insert(name);
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!listed.contains(name)) return name;
  }
  return {};
}

}  // namespace eidolon
