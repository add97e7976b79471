#include "evaluation/image_folder.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;

using ClassIndices = std::map<std::string, int64_t>;  // by folder name

std::string without_trailing_space(std::string line) {
  line.erase(line.find_last_not_of(" \t\r") + 1);
  return line;
}

/// Notepad and Excel begin UTF-8 with a mark, and offer UTF-16.
void strip_byte_order_mark(std::string& line, const fs::path& file) {
  if (line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
  if (line.starts_with("\xFF\xFE") || line.starts_with("\xFE\xFF")) {
    throw BadInput("evaluation.classes: " + file.string() + " is in UTF-16; save it as UTF-8");
  }
}

std::vector<std::string> read_lines(const fs::path& file) {
  std::ifstream stream(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    if (lines.empty()) strip_byte_order_mark(line, file);
    lines.push_back(without_trailing_space(std::move(line)));
  }
  if (!stream.eof() || fs::is_directory(file)) {
    throw BadInput("evaluation.classes: cannot read " + file.string() +
                   "; give a text file with one class folder name per line");
  }
  while (!lines.empty() && lines.back().empty()) {
    lines.pop_back();
  }
  return lines;
}

ClassIndices indices_of(const std::vector<std::string>& names) {
  ClassIndices indices;
  for (size_t i = 0; i < names.size(); ++i) indices.emplace(names[i], static_cast<int64_t>(i));
  return indices;
}

std::vector<fs::path> class_folders_in(const fs::path& root) {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.is_directory() && entry.path().filename().string().front() != '.') {
      folders.push_back(entry.path());
    }
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

int64_t named_class(const fs::path& folder, const ClassIndices& indices, const fs::path& classes) {
  const auto found = indices.find(folder.filename().string());
  if (found == indices.end()) {
    throw BadInput("evaluation.images: folder " + folder.string() + " is no class of " + classes.string() +
                   "; remove the folder or add its name");
  }
  return found->second;
}

int64_t numbered_class(const fs::path& folder, int64_t class_count) {
  const std::string name = folder.filename().string();
  int64_t index = -1;
  const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (problem != std::errc() || end != name.data() + name.size()) {
    throw BadInput("evaluation.images: folder " + folder.string() +
                   " is not a class index; name class folders 0, 1, ... or give evaluation.classes");
  }
  if (index < 0 || index >= class_count) {
    throw BadInput("evaluation.images: folder " + folder.string() + " is outside the model's classes 0.." +
                   std::to_string(class_count - 1));
  }
  return index;
}

constexpr std::array kRead = {".jpg", ".jpeg", ".jpe", ".jfif", ".png"};
constexpr std::array kNotRead = {".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif",  ".heic", ".heif", ".avif",
                                 ".jxl",  ".jp2", ".j2k", ".jpx", ".ppm",  ".pgm",  ".pbm",  ".pnm",  ".ico",
                                 ".tga",  ".psd", ".exr", ".hdr", ".qoi",  ".pcx",  ".svg",  ".dcm",  ".dng",
                                 ".raw",  ".cr2", ".cr3", ".nef", ".arw",  ".apng", ".mpo",  ".nii",  ".npy"};

std::string extension_of(const fs::directory_entry& entry) {
  std::string extension = entry.path().extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return std::tolower(c); });
  return extension;
}

bool is_picture(const std::string& extension) {
  return std::ranges::find(kRead, extension) != kRead.end() || std::ranges::find(kNotRead, extension) != kNotRead.end();
}

bool is_hidden(const fs::path& path) {
  return path.filename().string().starts_with(".");
}

int64_t pictures_below(const fs::path& folder) {
  int64_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) count += is_picture(extension_of(entry)) ? 1 : 0;
  return count;
}

void list_class_folder(const fs::path& folder, int64_t label, ImageListing& listing) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string extension = extension_of(entry);
    if (entry.is_directory()) {
      if (!is_hidden(entry.path())) listing.misplaced += pictures_below(entry.path());
    } else if (std::ranges::find(kRead, extension) != kRead.end()) {
      listing.images.push_back({entry.path(), label});
    } else if (is_picture(extension)) {
      ++listing.unsupported[extension];
    }
  }
}

ImageListing list_images(const fs::path& root, const fs::path& classes, int64_t class_count) {
  const ClassIndices indices = classes.empty() ? ClassIndices() : indices_of(read_class_list(classes, class_count));
  std::map<int64_t, fs::path> folder_of;
  ImageListing listing;
  for (const fs::path& folder : class_folders_in(root)) {
    const int64_t label = classes.empty() ? numbered_class(folder, class_count) : named_class(folder, indices, classes);
    if (const auto [other, is_new] = folder_of.emplace(label, folder); !is_new) {
      throw BadInput("evaluation.images: " + other->second.string() + " and " + folder.string() + " are both class " +
                     std::to_string(label) + "; keep one");
    }
    list_class_folder(folder, label, listing);
  }
  for (const auto& entry : fs::directory_iterator(root)) {
    if (!entry.is_directory() && is_picture(extension_of(entry))) ++listing.misplaced;
  }
  std::sort(listing.images.begin(), listing.images.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return listing;
}

/// "; there are 2 .webp, which are not read"
std::string what_there_is(const ImageListing& listing) {
  std::string text;
  for (const auto& [extension, count] : listing.unsupported) text += ", " + std::to_string(count) + " " + extension;
  if (!text.empty()) text = "; there are" + text.substr(1) + ", which are not read";
  if (listing.misplaced > 0) text += "; " + std::to_string(listing.misplaced) + " pictures lie elsewhere below it";
  return text;
}

/// Lower case, with blanks for underscores and hyphens.
std::string plain(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return c == '_' || c == '-' ? ' ' : static_cast<char>(std::tolower(c)); });
  return name;
}

/// The whole name and, of "tench, Tinca tinca", each part.
std::set<std::string> names_in(const std::string& name) {
  std::set<std::string> names{plain(name)};
  std::istringstream parts(plain(name));
  for (std::string part; std::getline(parts >> std::ws, part, ',');) names.insert(part);
  return names;
}

}  // namespace

ImageListing list_labelled_images(const fs::path& root, const fs::path& classes, int64_t class_count) {
  try {
    if (!fs::is_directory(root)) {
      throw BadInput("evaluation.images: no folder " + root.string() + "; give a folder with one folder of images per class");
    }
    ImageListing listing = list_images(root, classes, class_count);
    if (listing.images.empty()) {
      throw BadInput("evaluation.images: no .jpg, .jpeg or .png in the class folders of " + root.string() +
                     what_there_is(listing) + "; images lie in <folder>/<class name>/");
    }
    return listing;
  } catch (const fs::filesystem_error& problem) {
    throw BadInput("evaluation.images: cannot list " + problem.path1().string() + ": " + problem.code().message() +
                   "; make it readable");
  }
}

std::vector<std::string> read_class_list(const fs::path& file, int64_t class_count) {
  std::vector<std::string> lines = read_lines(file);
  if (static_cast<int64_t>(lines.size()) > class_count) {
    throw BadInput("evaluation.classes: " + file.string() + " names " + std::to_string(lines.size()) +
                   " classes, the model has " + std::to_string(class_count) + "; give the file of this model's data set");
  }
  std::set<std::string> seen;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string where = "evaluation.classes: " + file.string() + " line " + std::to_string(i + 1);
    if (lines[i].empty()) {
      throw BadInput(where + " is empty; a class's line is its index, so remove the gap");
    }
    if (!seen.insert(lines[i]).second) {
      throw BadInput(where + " names class '" + lines[i] + "' a second time; each class has one line");
    }
  }
  return lines;
}

std::string contradiction_of(const std::vector<std::string>& list, const std::vector<std::string>& model) {
  std::map<std::string, size_t> class_of;  // the first class of a name; some names have two
  for (size_t i = 0; i < model.size(); ++i) {
    for (const std::string& name : names_in(model[i])) class_of.emplace(name, i);
  }
  size_t known = 0;
  std::string first;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto found = class_of.find(plain(list[i]));
    if (found == class_of.end()) continue;
    ++known;
    const bool agrees = i < model.size() && names_in(model[i]).contains(plain(list[i]));
    if (agrees || !first.empty()) continue;
    first = "line " + std::to_string(i + 1) + " is '" + list[i] + "', which the model's config gives as class " +
            std::to_string(found->second) +
            (i < model.size() ? " (class " + std::to_string(i) + " is '" + model[i] + "')" : "");
  }
  return 2 * known > list.size() ? first : "";
}

}  // namespace eidolon
