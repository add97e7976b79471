#include "tests/fuzz/forged_archive.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "storage/hdf5.h"
#include "storage/seal.h"
#include "storage/sha256.h"

namespace eidolon::fuzz {
namespace {

using hdf5::Handle;

// HDF5's own refusals are of no interest here: what it does not write is missing.

hid_t type_of(const Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kInt:
      return H5T_NATIVE_INT32;
    case at::kLong:
      return H5T_NATIVE_INT64;
    case at::kFloat:
      return H5T_NATIVE_FLOAT;
    case at::kDouble:
      return H5T_NATIVE_DOUBLE;
    default:
      return H5T_NATIVE_UINT8;
  }
}

hid_t any_type(Choices& choices) {
  const std::array<hid_t, 14> types{H5T_NATIVE_UINT8,  H5T_NATIVE_INT8,  H5T_NATIVE_INT16,  H5T_NATIVE_INT32,  H5T_NATIVE_INT64,
                                    H5T_NATIVE_UINT64, H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE, H5T_IEEE_F32BE,    H5T_STD_I64BE,
                                    H5T_C_S1,          H5T_NATIVE_B8,    H5T_STD_REF_OBJ,   H5T_NATIVE_LDOUBLE};
  return types[choices.below(types.size())];
}

std::vector<hsize_t> shape_of(const Tensor& tensor) {
  return {tensor.sizes().begin(), tensor.sizes().end()};
}

std::vector<hsize_t> any_shape(std::vector<hsize_t> shape, Choices& choices) {
  if (choices.below(2) == 0) shape.resize(choices.below(8), 1);
  for (hsize_t& length : shape) {
    const uint64_t kind = choices.below(8);
    if (kind == 0) length = 0;
    if (kind == 1) length = choices.below(6);
    if (kind == 2) length = choices.number() >> choices.below(64);
  }
  return shape;
}

Handle space_of(const std::vector<hsize_t>& shape, bool grows = false) {
  if (shape.empty()) return Handle(H5Screate(H5S_SCALAR), H5Sclose);
  const std::vector<hsize_t> bounds(shape.size(), H5S_UNLIMITED);
  return Handle(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), grows ? bounds.data() : nullptr), H5Sclose);
}

/// The values, again and again to the length that is declared; of large datasets none.
void write_values(hid_t dataset, hid_t type, const std::vector<hsize_t>& shape, const Tensor& values) {
  constexpr std::size_t most = 65536;
  std::size_t bytes = H5Tget_size(type);
  for (const hsize_t length : shape) {
    if (length > most || bytes * length > most) return;
    bytes *= length;
  }
  if (bytes == 0 || values.nbytes() == 0) return;
  std::string memory(bytes, '\0');
  const auto* from = static_cast<const char*>(values.const_data_ptr());
  for (std::size_t i = 0; i < bytes; ++i) memory[i] = from[i % values.nbytes()];
  H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, memory.data());
}

struct Storage {
  Handle creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
  bool grows = false, is_written = true;
};

Storage any_storage(const std::vector<hsize_t>& shape, Choices& choices) {
  Storage storage;
  const hid_t creation = storage.creation.id();
  const uint64_t kind = choices.below(8);
  const bool chunked = kind >= 3 && !shape.empty();
  if (kind == 0) H5Pset_layout(creation, H5D_COMPACT);
  if (kind == 1) H5Pset_external(creation, "/etc/hostname", 0, H5F_UNLIMITED);
  if (kind == 2) H5Pset_layout(creation, H5D_VIRTUAL);
  if (chunked) {
    std::vector<hsize_t> chunk = shape;
    for (hsize_t& length : chunk) length = std::clamp<hsize_t>(length, 1, 1 + choices.below(8));
    H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data());
    storage.grows = kind == 4;
    if (kind == 5) H5Pset_deflate(creation, 1);
    if (kind == 6) H5Pset_fletcher32(creation);
  }
  storage.is_written = kind != 7;
  return storage;
}

void add_dataset(hid_t file, const std::string& name, const Tensor& sound, Choices& choices) {
  const uint64_t lie = choices.below(16);
  const Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(links.id(), 1);
  if (lie == 1) return;
  if (lie == 2) {
    H5Lcreate_soft(choices.text().c_str(), file, name.c_str(), links.id(), H5P_DEFAULT);
    return;
  }
  if (lie == 3) {
    H5Lcreate_external("/etc/hostname", "/", file, name.c_str(), links.id(), H5P_DEFAULT);
    return;
  }
  if (lie == 4) {
    const Handle group(H5Gcreate2(file, name.c_str(), links.id(), H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
    return;
  }
  const hid_t type = lie == 5 || lie == 6 ? any_type(choices) : type_of(sound);
  const std::vector<hsize_t> shape = lie == 7 || lie == 6 ? any_shape(shape_of(sound), choices) : shape_of(sound);
  const Storage storage = lie == 8 || lie == 9 ? any_storage(shape, choices) : Storage();
  const Handle space = lie == 10 ? Handle(H5Screate(H5S_NULL), H5Sclose) : space_of(shape, storage.grows);
  const Handle dataset(H5Dcreate2(file, name.c_str(), type, space.id(), links.id(), storage.creation.id(), H5P_DEFAULT),
                       H5Dclose);
  if (dataset.id() < 0 || !storage.is_written) return;
  Tensor values = sound.contiguous();
  if (lie == 11) {
    const std::string bytes = choices.text();
    values = at::zeros({static_cast<int64_t>(std::max<std::size_t>(bytes.size(), 1))}, at::kByte);
    std::ranges::copy(bytes, static_cast<char*>(values.data_ptr()));
  }
  write_values(dataset.id(), type, shape, values);
}

void add_attribute(hid_t file, const std::string& name, const std::string& sound, Choices& choices) {
  const uint64_t lie = choices.below(12);
  if (lie == 1) return;
  std::string text = lie == 2 || lie == 3 ? choices.text() : sound;
  const auto attach = [&](const Handle& type, const Handle& space, const void* value) {
    const Handle attribute(H5Acreate2(file, name.c_str(), type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    if (attribute.id() >= 0 && value != nullptr) H5Awrite(attribute.id(), type.id(), value);
  };
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  if (lie == 4) {
    const std::vector<hsize_t> shape(1 + choices.below(3), choices.below(4));
    return attach(Handle(H5Tcopy(any_type(choices)), H5Tclose), space_of(shape), std::string(4096, '\1').data());
  }
  if (lie == 3) {  // of a fixed length
    H5Tset_size(type.id(), std::max<std::size_t>(text.size(), 1));
    H5Tset_strpad(type.id(), std::array{H5T_STR_NULLTERM, H5T_STR_NULLPAD, H5T_STR_SPACEPAD}[choices.below(3)]);
    text.push_back('\0');
    return attach(type, Handle(H5Screate(H5S_SCALAR), H5Sclose), text.data());
  }
  H5Tset_size(type.id(), H5T_VARIABLE);
  if (lie != 5) H5Tset_cset(type.id(), H5T_CSET_UTF8);
  const char* pointer = text.c_str();
  const Handle space(H5Screate(lie == 6 ? H5S_NULL : H5S_SCALAR), H5Sclose);
  attach(type, space, lie == 6 || lie == 7 ? nullptr : &pointer);
}

void add_surprise(hid_t file, const TensorArchive& sound, Choices& choices) {
  const std::string name = choices.text();
  switch (choices.below(5)) {
    case 0:
      return add_dataset(file, name, at::ones({3}), choices);
    case 1: {
      std::string path = "g";
      for (uint64_t depth = choices.below(40); depth > 0; --depth) path += "/g";
      return add_dataset(file, path, at::ones({1}), choices);
    }
    case 2: {
      const Handle type(H5Tcopy(any_type(choices)), H5Tclose);
      H5Tcommit2(file, name.c_str(), type.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
      return;
    }
    case 3:
      H5Lcreate_hard(file, sound.tensors.begin()->first.c_str(), file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      return;
    default:
      return add_attribute(file, name, choices.text(), choices);
  }
}

}  // namespace

std::string sealed(std::string_view hdf5) {
  return make_seal("a forger's file", sha256_hex(hdf5)).append(hdf5);
}

std::string forged_archive(const TensorArchive& sound, Choices& choices) {
  try {
    const hdf5::Image image = hdf5::make_image("forged", seal_size, [&](const hdf5::File& file) {
      for (const auto& [name, tensor] : sound.tensors) add_dataset(file.handle.id(), name, tensor, choices);
      for (const auto& [name, text] : sound.attributes) add_attribute(file.handle.id(), name, text, choices);
      for (uint64_t more = choices.below(4); more > 0; --more) add_surprise(file.handle.id(), sound, choices);
    });
    const auto bytes = image.bytes().subspan(seal_size);
    return sealed({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  } catch (const Fault&) {
    return {};
  }
}

}  // namespace eidolon::fuzz
