#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "storage/hdf5.h"

namespace eidolon::hdf5 {

namespace {

// What HDF5's core driver calls for the memory of a file. It frees that memory when the file is closed, which is the
// first moment at which the bytes are complete (until then they are marked as open for writing): the last one keeps it
// instead. H5Fget_file_image is no way out: with a user block and format V110, HDF5 1.10.8 returns bytes that it cannot
// read back.

void* allocate(size_t size, H5FD_file_image_op_t, void* image) {
  static_cast<Image*>(image)->size = size;
  return std::malloc(size);
}

void* copy(void* to, const void* from, size_t size, H5FD_file_image_op_t, void*) {
  return std::memcpy(to, from, size);
}

void* resize(void* bytes, size_t size, H5FD_file_image_op_t, void* image) {
  void* const resized = std::realloc(bytes, size);
  if (resized != nullptr) static_cast<Image*>(image)->size = size;
  return resized;
}

herr_t keep(void* bytes, H5FD_file_image_op_t, void* image) {
  static_cast<Image*>(image)->memory.reset(static_cast<std::byte*>(bytes));
  return 0;
}

void* share(void* image) {
  return image;
}

herr_t forget(void*) {
  return 0;
}

File create_in(Image& image, const std::string& name, std::size_t user_block) {
  constexpr std::size_t growth = 4096;  // the image's size is a multiple of it
  const std::string action = "set up the creation";
  const Handle access = file_access(name);
  H5FD_file_image_callbacks_t callbacks{allocate, copy, resize, keep, share, forget, &image};
  check(H5Pset_fapl_core(access.id(), growth, /*backing_store=*/false), action, name);
  check(H5Pset_file_image_callbacks(access.id(), &callbacks), action, name);

  const Handle creation(check(H5Pcreate(H5P_FILE_CREATE), action, name), H5Pclose);
  check(H5Pset_userblock(creation.id(), user_block), action, name);
  check(H5Pset_obj_track_times(creation.id(), false), action, name);
  const hid_t file = check(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, creation.id(), access.id()), "make the image", name);
  return {Handle(file, H5Fclose), name};
}

}  // namespace

Image make_image(const std::string& name, std::size_t user_block, const std::function<void(const File&)>& fill) {
  Image image;
  File file = create_in(image, name, user_block);
  fill(file);
  check(H5Fflush(file.handle.id(), H5F_SCOPE_GLOBAL), "finish the image", name);  // sizes the memory to the last address in use
  check(H5Fclose(file.handle.release()), "finish the image", name);
  return image;
}

}  // namespace eidolon::hdf5
