#include <string>
#include <vector>

#include "base/error.h"
#include "storage/hdf5.h"
#include "storage/percent_encoding.h"

namespace eidolon::hdf5 {

namespace {

hid_t stored_type(at::ScalarType dtype, const std::string& action, const std::string& file) {
  switch (dtype) {
    case at::kByte:
    case at::kBool:
      return H5T_NATIVE_UINT8;
    case at::kInt:
      return H5T_NATIVE_INT32;
    case at::kLong:
      return H5T_NATIVE_INT64;
    case at::kFloat:
      return H5T_NATIVE_FLOAT;
    case at::kDouble:
      return H5T_NATIVE_DOUBLE;
    default:
      throw Fault("cannot " + action + " of " + file + ": dtype " + at::toString(dtype) + " is not stored; convert it first");
  }
}

at::ScalarType dtype_of(hid_t type, const std::string& action, const std::string& file) {
  const H5T_class_t kind = H5Tget_class(type);
  const std::size_t size = H5Tget_size(type);
  if (kind == H5T_FLOAT && size == 4) return at::kFloat;
  if (kind == H5T_FLOAT && size == 8) return at::kDouble;
  const bool is_signed = kind == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_2;
  if (kind == H5T_INTEGER && size == 1 && !is_signed) return at::kByte;
  if (is_signed && size == 4) return at::kInt;
  if (is_signed && size == 8) return at::kLong;
  throw Fault("cannot " + action + " of " + file +
              ": its type is none of uint8, int32, int64, float32, float64; store it as one of them");
}

Handle make_space(const Tensor& tensor, const std::string& action, const std::string& file) {
  if (tensor.dim() == 0) return Handle(check(H5Screate(H5S_SCALAR), action, file), H5Sclose);
  const std::vector<hsize_t> shape(tensor.sizes().begin(), tensor.sizes().end());
  const int rank = static_cast<int>(shape.size());
  return Handle(check(H5Screate_simple(rank, shape.data(), nullptr), action, file), H5Sclose);
}

Handle make_layout(const Tensor& tensor, const std::string& action, const std::string& file) {
  Handle layout(check(H5Pcreate(H5P_DATASET_CREATE), action, file), H5Pclose);
  check(H5Pset_obj_track_times(layout.id(), false), action, file);
  check(H5Pset_fill_time(layout.id(), H5D_FILL_TIME_NEVER), action, file);  // every element is written at once
  if (tensor.dim() < 4 || tensor.size(0) < 2 || tensor.numel() == 0) return layout;
  std::vector<hsize_t> chunk(tensor.sizes().begin(), tensor.sizes().end());
  chunk[0] = 1;
  check(H5Pset_chunk(layout.id(), static_cast<int>(chunk.size()), chunk.data()), action, file);
  return layout;
}

/// H5Pset_create_intermediate_group would make groups too, but with time stamps.
void make_groups(const File& file, const std::string& name, const std::string& action) {
  for (std::size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    const std::string group = name.substr(0, slash);
    if (check(H5Lexists(file.handle.id(), group.c_str(), H5P_DEFAULT), action, file.name) > 0) continue;
    const Handle creation(check(H5Pcreate(H5P_GROUP_CREATE), action, file.name), H5Pclose);
    check(H5Pset_obj_track_times(creation.id(), false), action, file.name);
    const Handle made(
        check(H5Gcreate2(file.handle.id(), group.c_str(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), action, file.name),
        H5Gclose);
  }
}

std::vector<int64_t> shape_of(const Handle& dataset, const std::string& action, const std::string& file) {
  const Handle space(check(H5Dget_space(dataset.id()), action, file), H5Sclose);
  const int64_t rank = check(H5Sget_simple_extent_ndims(space.id()), action, file);
  std::vector<hsize_t> extent(static_cast<std::size_t>(rank));
  if (rank > 0) check(H5Sget_simple_extent_dims(space.id(), extent.data(), nullptr), action, file);
  return {extent.begin(), extent.end()};
}

}  // namespace

void write_tensor(const File& file, const std::string& name, const Tensor& tensor) {
  const std::string action = "write dataset '" + name + "'";
  if (!tensor.defined()) throw Fault("cannot " + action + " of " + file.name + ": the tensor is undefined");
  const Tensor values = tensor.detach().to(at::kCPU).contiguous();
  const hid_t type = stored_type(values.scalar_type(), action, file.name);
  const Handle space = make_space(values, action, file.name);
  const Handle layout = make_layout(values, action, file.name);
  make_groups(file, name, action);
  const Handle dataset(
      check(H5Dcreate2(file.handle.id(), name.c_str(), type, space.id(), H5P_DEFAULT, layout.id(), H5P_DEFAULT), action,
            file.name),
      H5Dclose);
  if (values.numel() == 0) return;
  check(H5Dwrite(dataset.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data_ptr()), action, file.name);
}

Tensor read_tensor(const File& file, const std::string& name) {
  const std::string action = "read dataset '" + percent_encoded(name) + "'";
  const Handle dataset(check(H5Dopen2(file.handle.id(), name.c_str(), H5P_DEFAULT), action, file.name), H5Dclose);
  require_plain(file, dataset, action);
  const Handle type(check(H5Dget_type(dataset.id()), action, file.name), H5Tclose);
  const at::ScalarType dtype = dtype_of(type.id(), action, file.name);
  const Tensor values = at::empty(shape_of(dataset, action, file.name), at::TensorOptions(dtype));
  if (values.numel() == 0) return values;
  const hid_t memory_type = stored_type(dtype, action, file.name);
  check(H5Dread(dataset.id(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data_ptr()), action, file.name);
  return values;
}

}  // namespace eidolon::hdf5
