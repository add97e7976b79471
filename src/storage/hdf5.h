// Checked HDF5 handles: one function per C call we need; every failure becomes a Fault with HDF5's first cause, the file and
// the object's name. Serial HDF5 1.10.7 or later, one file per call chain, one thread.
//
// Files may come from strangers: what could read other files, run a filter, or ask for more memory than the file has bytes is
// refused by name before it is read (BadInput).
//
// Files are created in memory and only read from disk: HDF5 caches, and a disk that fills up while it flushes leaves a file
// that it can neither write nor close. The bytes of a finished image are ours to write, and a failure ours to report.
#pragma once

#include <hdf5.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/tensor.h"

namespace eidolon::hdf5 {

/// An open HDF5 identifier, closed at the end of its life. Move only.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Handle(hid_t id, Close close) noexcept : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }

  hid_t id() const { return id_; }
  hid_t release() noexcept { return std::exchange(id_, H5I_INVALID_HID); }  ///< the caller closes it

 private:
  hid_t id_;
  Close close_;
};

/// An open file and the name that its errors give it.
struct File {
  Handle handle;
  std::string name;
};

/// Returns what an HDF5 call returned; negative: Fault "HDF5 cannot <action> of <file>: <first cause>".
int64_t check(int64_t result, const std::string& action, const std::string& file);

/// The bytes of a finished file in memory.
struct Image {
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<std::byte, Free> memory;
  std::size_t size = 0;

  std::span<std::byte> bytes() const { return {memory.get(), size}; }
};

/// Makes a file in memory, lets `fill` write into it and closes it. `user_block` bytes (0, or a power of 2 from 512) in front
/// are zero. Format bounds V110, no time stamps: equal contents written in the same order are equal bytes, unused ones are
/// zero. `name` is for messages only.
Image make_image(const std::string& name, std::size_t user_block, const std::function<void(const File&)>& fill);

/// Read only, without file locks (network file systems refuse them; finished files do not change).
File open_file(const std::filesystem::path& path);

/// Access properties of every file: format bounds, no locks. Also stops HDF5 from printing its errors.
Handle file_access(const std::string& name);

/// Paths of all datasets, sorted, without a leading slash: "student/blocks.0.norm1.weight". BadInput if the file holds a link
/// (soft, external or a user's own), or groups nested deeper than 16.
std::vector<std::string> dataset_names(const File& file);

/// Any device; uint8, int32, int64, float32, float64, bool (stored as uint8). Groups on the way are made. One chunk per first
/// index if the rank is at least 4 and there is more than one, else contiguous.
void write_tensor(const File& file, const std::string& name, const Tensor& tensor);
Tensor read_tensor(const File& file, const std::string& name);  ///< CPU, own memory; BadInput as require_plain()

/// BadInput "cannot <action> of <file>: <reason>; <remedy>" unless the dataset's values lie whole in this file: no virtual or
/// external dataset, no filter, no missing chunk, and no more bytes declared than are stored and the file has.
void require_plain(const File& file, const Handle& dataset, const std::string& action);

int64_t file_size(const File& file);  ///< bytes, with the user block

/// Attributes of the root group: variable-length UTF-8 (h5py: str). Text with a zero byte is refused.
void write_attribute(const File& file, const std::string& name, const std::string& text);
/// Fixed-length text is read as well; Fault if an attribute is not text.
std::map<std::string, std::string> read_attributes(const File& file);

}  // namespace eidolon::hdf5
