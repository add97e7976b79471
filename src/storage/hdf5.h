// Checked wrappers of the HDF5 calls in use. A failure becomes a Fault with HDF5's first cause, the file and the
// object. Serial HDF5 1.10.7 or later; one thread.
//
// Files may come from an untrusted source. Features that read other files, run a filter, or need more memory than the
// file has bytes are refused by name before they are read (BadInput).
//
// New files are made in memory, and HDF5 only reads from disk. HDF5 caches: if the disk is full when it flushes, it can
// neither write nor close the file. The caller writes the finished bytes itself and can report a failure.
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

/// An open HDF5 identifier, closed by the destructor. Move only.
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

/// An open file and its name for error messages.
struct File {
  Handle handle;
  std::string name;
};

/// Returns `result` of an HDF5 call. Throws Fault "HDF5 cannot <action> of <file>: <first cause>" if it is negative.
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

/// Makes a file in memory, lets `fill` write into it and closes it. It begins with `user_block` zero bytes (0, or a
/// power of 2 from 512). Format bounds V110, no time stamps, unused bytes are zero: equal contents written in the same
/// order give equal bytes. `name` is for messages only.
Image make_image(const std::string& name, std::size_t user_block, const std::function<void(const File&)>& fill);

/// Opens a file read-only and without file locks: network file systems refuse them, and finished files do not change.
File open_file(const std::filesystem::path& path);

/// The access properties of every file: format bounds, no locks. Also keeps HDF5 from printing errors.
Handle file_access(const std::string& name);

/// The paths of all datasets, sorted, without a leading slash: "student/blocks.0.norm1.weight". Throws BadInput if the
/// file holds a soft, external or user-defined link, or groups nested deeper than 16.
std::vector<std::string> dataset_names(const File& file);

/// Writes a tensor of any device; uint8, int32, int64, float32, float64, bool (stored as uint8). Missing groups are
/// created. A tensor of rank 4 or more is chunked by its first index if that has more than one value; others are
/// contiguous.
void write_tensor(const File& file, const std::string& name, const Tensor& tensor);
Tensor read_tensor(const File& file, const std::string& name);  ///< on the CPU, in its own memory; throws as require_plain()

/// Throws BadInput "cannot <action> of <file>: <reason>; <remedy>" unless all values of the dataset are stored in this
/// file. It must not be virtual or external, nor have filters or missing chunks. Its declared size must not exceed the
/// stored bytes.
void require_plain(const File& file, const Handle& dataset, const std::string& action);

int64_t file_size(const File& file);  ///< in bytes, including the user block

/// Writes an attribute of the root group as variable-length UTF-8 (str in h5py). Text with a zero byte is refused.
void write_attribute(const File& file, const std::string& name, const std::string& text);
/// All attributes of the root group, of fixed-length text too. Throws Fault if one is not text.
std::map<std::string, std::string> read_attributes(const File& file);

}  // namespace eidolon::hdf5
