#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "storage/hdf5.h"
#include "storage/percent_encoding.h"

namespace eidolon::hdf5 {

namespace {

std::vector<hsize_t> extent_of(const Handle& space, const std::string& action, const std::string& file) {
  const int64_t rank = check(H5Sget_simple_extent_ndims(space.id()), action, file);
  std::vector<hsize_t> extent(static_cast<std::size_t>(rank));
  if (rank > 0) check(H5Sget_simple_extent_dims(space.id(), extent.data(), nullptr), action, file);
  return extent;
}

/// Nothing if no memory could hold them. An extent of 0 counts as 1: strides are made of the others.
std::optional<hsize_t> bytes_of(const std::vector<hsize_t>& extent, hsize_t element) {
  int64_t bytes = static_cast<int64_t>(element);
  for (const hsize_t length : extent) {
    if (__builtin_mul_overflow(bytes, std::max<hsize_t>(length, 1), &bytes)) return std::nullopt;
  }
  return static_cast<hsize_t>(bytes);
}

std::string first_filter(hid_t creation) {
  char name[64] = "";
  size_t values = 0;
  const H5Z_filter_t filter = H5Pget_filter2(creation, 0, nullptr, &values, nullptr, sizeof name - 1, name, nullptr);
  return *name != '\0' ? percent_encoded(name) : "number " + std::to_string(filter);
}

int64_t missing_chunks(const Handle& dataset, const Handle& space, hid_t creation, const std::vector<hsize_t>& extent,
                       const std::string& action, const std::string& file) {
  std::vector<hsize_t> chunk(extent.size());
  check(H5Pget_chunk(creation, static_cast<int>(chunk.size()), chunk.data()), action, file);
  hsize_t needed = 1, present = 0;
  for (std::size_t i = 0; i < extent.size(); ++i) needed *= (extent[i] + chunk[i] - 1) / chunk[i];
  check(H5Dget_num_chunks(dataset.id(), space.id(), &present), action, file);
  return static_cast<int64_t>(needed) - static_cast<int64_t>(present);
}

}  // namespace

int64_t file_size(const File& file) {
  hsize_t size = 0;
  check(H5Fget_filesize(file.handle.id(), &size), "read the size", file.name);
  return static_cast<int64_t>(size);
}

void require_plain(const File& file, const Handle& dataset, const std::string& action) {
  const auto refuse = [&](const std::string& reason) {
    throw BadInput("cannot " + action + " of " + file.name + ": " + reason +
                   "; store it contiguous or in chunks, without compression, in this file");
  };
  const Handle creation(check(H5Dget_create_plist(dataset.id()), action, file.name), H5Pclose);
  const Handle space(check(H5Dget_space(dataset.id()), action, file.name), H5Sclose);
  const Handle type(check(H5Dget_type(dataset.id()), action, file.name), H5Tclose);
  const int64_t layout = check(H5Pget_layout(creation.id()), action, file.name);
  if (layout == H5D_VIRTUAL) refuse("it is virtual, made of other datasets");
  if (check(H5Pget_external_count(creation.id()), action, file.name) > 0) refuse("its values lie in another file");
  if (check(H5Pget_nfilters(creation.id()), action, file.name) > 0)
    refuse("its values are filtered (" + first_filter(creation.id()) + ")");
  if (H5Sget_simple_extent_type(space.id()) == H5S_NULL) refuse("it has no values");

  const std::vector<hsize_t> extent = extent_of(space, action, file.name);
  const std::optional<hsize_t> declared = bytes_of(extent, H5Tget_size(type.id()));
  if (!declared) refuse("it declares more values than any memory holds");
  if (std::ranges::find(extent, hsize_t{0}) != extent.end()) return;  // no value: nothing is stored, and nothing read
  const hsize_t stored = H5Dget_storage_size(dataset.id()), whole = static_cast<hsize_t>(file_size(file));
  if (*declared > stored || stored > whole) {
    refuse("it declares " + std::to_string(*declared) + " bytes and " + std::to_string(stored) + " are stored in the " +
           std::to_string(whole) + " of the file");
  }
  if (layout != H5D_CHUNKED) return;
  const int64_t missing = missing_chunks(dataset, space, creation.id(), extent, action, file.name);
  if (missing != 0) refuse(std::to_string(missing) + " of its chunks are missing");
}

}  // namespace eidolon::hdf5
