#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "storage/hdf5.h"
#include "storage/percent_encoding.h"

namespace eidolon::hdf5 {

namespace {

herr_t note_first_cause(unsigned depth, const H5E_error2_t* error, void* cause) noexcept {
  try {
    if (depth == 0 && error->desc != nullptr) *static_cast<std::string*>(cause) = error->desc;
    return 0;
  } catch (...) {
    return -1;
  }
}

/// Upward: from the call that failed first to the one that we made.
std::string first_cause() {
  std::string cause;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, note_first_cause, &cause);
  std::replace(cause.begin(), cause.end(), '\n', ' ');
  return cause.empty() ? "no cause given" : cause;
}

struct Visit {
  std::vector<std::string> datasets;
  std::string refusal;
};

constexpr int stop = 1;
constexpr int64_t deepest = 16;  // HDF5 visits groups by recursion, and each level takes of the stack

/// Links are not followed: a sealed file speaks of its own bytes alone.
herr_t note_dataset(hid_t group, const char* name, const H5L_info_t* link, void* data) noexcept {
  try {
    auto& visit = *static_cast<Visit*>(data);
    if (link->type != H5L_TYPE_HARD) {
      visit.refusal = percent_encoded(name) + " is a link; store the dataset itself";
      return stop;
    }
    if (std::ranges::count(std::string_view(name), '/') >= deepest) {
      visit.refusal = "its groups are nested deeper than 16; store its datasets in fewer";
      return stop;
    }
    const Handle object(H5Oopen(group, name, H5P_DEFAULT), H5Oclose);
    if (object.id() < 0) return -1;
    if (H5Iget_type(object.id()) == H5I_DATASET) visit.datasets.emplace_back(name);
    return 0;
  } catch (...) {
    return -1;
  }
}

}  // namespace

int64_t check(int64_t result, const std::string& action, const std::string& file) {
  if (result >= 0) return result;
  throw Fault("HDF5 cannot " + action + " of " + file + ": " + first_cause() +
              "; if the file is damaged, remove it and run again");
}

Handle file_access(const std::string& name) {
  const std::string action = "set up the access";
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // else every error is printed to stderr as well
  Handle access(check(H5Pcreate(H5P_FILE_ACCESS), action, name), H5Pclose);
  check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110), action, name);
  check(H5Pset_file_locking(access.id(), false, true), action, name);
  return access;
}

File open_file(const std::filesystem::path& path) {
  const Handle access = file_access(path.string());
  const hid_t file = check(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()), "read the structure", path.string());
  return {Handle(file, H5Fclose), path.string()};
}

std::vector<std::string> dataset_names(const File& file) {
  Visit visit;
  const std::string action = "list the datasets";
  check(H5Lvisit(file.handle.id(), H5_INDEX_NAME, H5_ITER_INC, note_dataset, &visit), action, file.name);
  if (!visit.refusal.empty()) throw BadInput("cannot " + action + " of " + file.name + ": " + visit.refusal);
  std::ranges::sort(visit.datasets);
  return visit.datasets;
}

}  // namespace eidolon::hdf5
