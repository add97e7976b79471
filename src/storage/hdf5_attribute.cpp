#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "storage/hdf5.h"
#include "storage/percent_encoding.h"

namespace eidolon::hdf5 {

namespace {

/// HDF5 does not convert between ASCII and UTF-8, so reading asks for the encoding that is stored.
Handle variable_text(H5T_cset_t encoding, const std::string& action, const std::string& file) {
  Handle type(check(H5Tcopy(H5T_C_S1), action, file), H5Tclose);
  check(H5Tset_size(type.id(), H5T_VARIABLE), action, file);
  check(H5Tset_cset(type.id(), encoding), action, file);
  return type;
}

std::string read_variable(const Handle& attribute, const Handle& stored, const std::string& action, const std::string& file) {
  const Handle type = variable_text(H5Tget_cset(stored.id()), action, file);
  char* text = nullptr;
  check(H5Aread(attribute.id(), type.id(), &text), action, file);
  if (text == nullptr) return "";
  const std::string copy = text;
  check(H5free_memory(text), action, file);
  return copy;
}

std::string read_fixed(const Handle& attribute, const Handle& stored, const std::string& action, const File& file) {
  const std::size_t size = H5Tget_size(stored.id());
  if (size > static_cast<std::size_t>(file_size(file)))
    throw BadInput("cannot " + action + " of " + file.name +
                   ": it declares more bytes than the file has; remove the file and run again");
  std::string text(size, '\0');
  check(H5Aread(attribute.id(), stored.id(), text.data()), action, file.name);
  const char padding = H5Tget_strpad(stored.id()) == H5T_STR_SPACEPAD ? ' ' : '\0';
  if (padding == '\0') return text.substr(0, text.find('\0'));
  return text.substr(0, text.find_last_not_of(padding) + 1);
}

std::string read_attribute(const File& file, const std::string& name) {
  const std::string action = "read attribute '" + percent_encoded(name) + "'";
  const Handle attribute(check(H5Aopen(file.handle.id(), name.c_str(), H5P_DEFAULT), action, file.name), H5Aclose);
  const Handle type(check(H5Aget_type(attribute.id()), action, file.name), H5Tclose);
  const Handle space(check(H5Aget_space(attribute.id()), action, file.name), H5Sclose);
  if (H5Tget_class(type.id()) != H5T_STRING || H5Sget_simple_extent_npoints(space.id()) != 1) {
    throw Fault("cannot " + action + " of " + file.name + ": it is not one text; write it as a string");
  }
  const bool variable = check(H5Tis_variable_str(type.id()), action, file.name) > 0;
  return variable ? read_variable(attribute, type, action, file.name) : read_fixed(attribute, type, action, file);
}

herr_t note_name(hid_t, const char* name, const H5A_info_t*, void* names) noexcept {
  try {
    static_cast<std::vector<std::string>*>(names)->emplace_back(name);
    return 0;
  } catch (...) {
    return -1;
  }
}

}  // namespace

void write_attribute(const File& file, const std::string& name, const std::string& text) {
  const std::string action = "write attribute '" + name + "'";
  if (text.find('\0') != text.npos) throw Fault("cannot " + action + " of " + file.name + ": the text contains a zero byte");
  const Handle type = variable_text(H5T_CSET_UTF8, action, file.name);
  const Handle space(check(H5Screate(H5S_SCALAR), action, file.name), H5Sclose);
  const Handle attribute(
      check(H5Acreate2(file.handle.id(), name.c_str(), type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), action, file.name),
      H5Aclose);
  const char* const pointer = text.c_str();
  check(H5Awrite(attribute.id(), type.id(), &pointer), action, file.name);
}

std::map<std::string, std::string> read_attributes(const File& file) {
  std::vector<std::string> names;
  check(H5Aiterate2(file.handle.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, note_name, &names), "list the attributes",
        file.name);
  std::map<std::string, std::string> attributes;
  int64_t left = file_size(file);  // several attributes may stand for the same bytes
  for (const std::string& name : names) {
    const std::string& text = attributes[name] = read_attribute(file, name);
    left -= static_cast<int64_t>(name.size() + text.size());
    if (left < 0)
      throw BadInput("the attributes of " + file.name + " declare more text than it has bytes; remove the file and run again");
  }
  return attributes;
}

}  // namespace eidolon::hdf5
