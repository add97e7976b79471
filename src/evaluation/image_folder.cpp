#include "evaluation/image_folder.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <map>
#include <string>

#include "base/error.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;

using ClassIndices = std::map<std::string, int64_t>;  // by folder name

std::string without_trailing_space(std::string line) {
  line.erase(line.find_last_not_of(" \t\r") + 1);
  return line;
}

std::vector<std::string> read_lines(const fs::path& file) {
  std::ifstream stream(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
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

ClassIndices read_classes(const fs::path& file, int64_t class_count) {
  const std::vector<std::string> lines = read_lines(file);
  if (static_cast<int64_t>(lines.size()) > class_count) {
    throw BadInput("evaluation.classes: " + file.string() + " names " + std::to_string(lines.size()) +
                   " classes, the model has " + std::to_string(class_count) + "; give the file of this model's data set");
  }
  ClassIndices indices;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string where = "evaluation.classes: " + file.string() + " line " + std::to_string(i + 1);
    if (lines[i].empty()) {
      throw BadInput(where + " is empty; a class's line is its index, so remove the gap");
    }
    if (!indices.emplace(lines[i], static_cast<int64_t>(i)).second) {
      throw BadInput(where + " names class '" + lines[i] + "' a second time; each class has one line");
    }
  }
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

bool is_image(const fs::directory_entry& entry) {
  std::string extension = entry.path().extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return std::tolower(c); });
  return !entry.is_directory() && (extension == ".jpg" || extension == ".jpeg" || extension == ".png");
}

std::vector<LabelledImage> list_images(const fs::path& root, const fs::path& classes, int64_t class_count) {
  const ClassIndices indices = classes.empty() ? ClassIndices() : read_classes(classes, class_count);
  std::map<int64_t, fs::path> folder_of;
  std::vector<LabelledImage> images;
  for (const fs::path& folder : class_folders_in(root)) {
    const int64_t label = classes.empty() ? numbered_class(folder, class_count) : named_class(folder, indices, classes);
    if (const auto [other, is_new] = folder_of.emplace(label, folder); !is_new) {
      throw BadInput("evaluation.images: " + other->second.string() + " and " + folder.string() + " are both class " +
                     std::to_string(label) + "; keep one");
    }
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (is_image(entry)) {
        images.push_back({entry.path(), label});
      }
    }
  }
  std::sort(images.begin(), images.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return images;
}

}  // namespace

std::vector<LabelledImage> list_labelled_images(const fs::path& root, const fs::path& classes, int64_t class_count) {
  try {
    if (!fs::is_directory(root)) {
      throw BadInput("evaluation.images: no folder " + root.string() + "; give a folder with one folder of images per class");
    }
    std::vector<LabelledImage> images = list_images(root, classes, class_count);
    if (images.empty()) {
      throw BadInput("evaluation.images: no .jpg, .jpeg or .png in the class folders of " + root.string() +
                     "; images lie in <folder>/<class name>/");
    }
    return images;
  } catch (const fs::filesystem_error& problem) {
    throw BadInput("evaluation.images: cannot list " + problem.path1().string() + ": " + problem.code().message() +
                   "; make it readable");
  }
}

}  // namespace eidolon
